BEGIN;
SELECT plan(12);

SELECT is(llm_atoms.hilbert_encode('{5, 10, 20}', 5), 7865::numeric, 'the worked example of Skilling''s paper');
SELECT is(llm_atoms.hilbert_encode('[0:2]={5, 10, 20}', 5), 7865::numeric, 'an array may begin at any index');
SELECT is(
    llm_atoms.hilbert_encode(array_fill(9223372036854775807, ARRAY[8]), 63)::text,
    '34916166484225513280140690099494390956977515157792691087821774593025427161649861918754880984809644342942791297'
    '360640757431650736489444192568837627620010',
    'the largest point, as the package hilbertcurve 2.0.5 has it');
SELECT is(
    (SELECT count(DISTINCT llm_atoms.hilbert_encode(ARRAY[a, b, c, d], 2)) FROM generate_series(0, 3) AS a,
        generate_series(0, 3) AS b, generate_series(0, 3) AS c, generate_series(0, 3) AS d),
    256::bigint, 'every cell has a key of its own');
SELECT is(llm_atoms.hilbert_encode(NULL, 5), NULL, 'no point, no key');
SELECT throws_ok('SELECT llm_atoms.hilbert_encode(''{1}'', 5)', '22023', 'dimensions out of range', 'one dimension');
SELECT throws_ok(
    'SELECT llm_atoms.hilbert_encode(''{1,1,1,1,1,1,1,1,1}'', 5)', '22023', 'dimensions out of range',
    'nine dimensions');
SELECT throws_ok(
    'SELECT llm_atoms.hilbert_encode(''{{1,1},{1,1}}'', 5)', '22023', 'dimensions out of range',
    'a table of coordinates');
SELECT throws_ok('SELECT llm_atoms.hilbert_encode(''{1,1}'', 64)', '22023', 'bits out of range', '64 bits');
SELECT throws_ok(
    'SELECT llm_atoms.hilbert_encode(''{1,32}'', 5)', '22023', 'coordinate out of range', 'beyond the grid');
SELECT throws_ok(
    'SELECT llm_atoms.hilbert_encode(''{-1,3}'', 63)', '22023', 'coordinate out of range', 'below the grid');
SELECT throws_ok(
    'SELECT llm_atoms.hilbert_encode(''{1,NULL}'', 5)', '22023', 'coordinate out of range', 'a NULL coordinate');

SELECT * FROM finish();
ROLLBACK;
