BEGIN;
SELECT plan(8);

SELECT results_eq(
    $$SELECT llm_atoms.hilbert_encode_2d(x, y, 1)
        FROM (VALUES (1, 0, 0), (2, 0, 1), (3, 1, 1), (4, 1, 0)) AS c (i, x, y) ORDER BY i$$,
    'VALUES (0::bigint), (1), (2), (3)',
    'the curve of one bit goes up, right and down');
SELECT is(
    llm_atoms.hilbert_encode_2d(5, 2147483647), 1537228672809129318,
    'the package hilbertcurve 2.0.5 gives the same key');
SELECT is(llm_atoms.hilbert_encode_2d(2147483647, 0), (1::bigint << 62) - 1, 'the curve of 31 bits ends on the x axis');
SELECT is(llm_atoms.hilbert_encode_2d(NULL, 0), NULL, 'no coordinate, no key');
SELECT throws_ok('SELECT llm_atoms.hilbert_encode_2d(1, 1, 0)', '22023', NULL, 'no bits are refused');
SELECT throws_ok('SELECT llm_atoms.hilbert_encode_2d(1, 1, 32)', '22023', NULL, '32 bits are refused');
SELECT throws_ok(
    'SELECT llm_atoms.hilbert_encode_2d(8, 1, 3)', '22023', NULL, 'a coordinate beyond the grid is refused');
SELECT throws_ok('SELECT llm_atoms.hilbert_encode_2d(1, -1, 3)', '22023', NULL, 'a negative coordinate is refused');

SELECT * FROM finish();
ROLLBACK;
