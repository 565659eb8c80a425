BEGIN;
SELECT plan(11);

SELECT is(llm_atoms.hilbert_decode(7865, 3, 5), '{5, 10, 20}', 'the worked example of Skilling''s paper');
SELECT is(
    llm_atoms.hilbert_decode(trunc(power(2::numeric, 504)) - 1, 8, 63),
    ARRAY[9223372036854775807, 0, 0, 0, 0, 0, 0, 0], 'the longest curve ends on the first axis');
SELECT results_eq(
    $$SELECT dimensions, count(DISTINCT point), bool_and(llm_atoms.hilbert_encode(point, 2) = key)
        FROM generate_series(2, 5) AS dimensions,
            LATERAL generate_series(0, (1 << 2 * dimensions) - 1) AS key,
            LATERAL (SELECT llm_atoms.hilbert_decode(key, dimensions, 2) AS point OFFSET 0) AS decoded
        GROUP BY dimensions ORDER BY dimensions$$,
    'VALUES (2, 16::bigint, true), (3, 64, true), (4, 256, true), (5, 1024, true)',
    'every key of a grid has a cell of its own, and the cell gives the key');
SELECT is_empty(
    $$SELECT FROM (
        SELECT abs(p[1] - lag(p[1]) OVER w) + abs(p[2] - lag(p[2]) OVER w) + abs(p[3] - lag(p[3]) OVER w) AS length
        FROM generate_series(0, 511) AS key, LATERAL llm_atoms.hilbert_decode(key, 3, 3) AS p WINDOW w AS (ORDER BY key)
    ) AS step WHERE length <> 1$$,
    'consecutive keys are neighbouring cells');
SELECT is(llm_atoms.hilbert_decode(NULL, 3, 5), NULL, 'no key, no point');
SELECT throws_ok('SELECT llm_atoms.hilbert_decode(1, 1, 5)', '22023', 'dimensions out of range', 'one dimension');
SELECT throws_ok('SELECT llm_atoms.hilbert_decode(1, 9, 5)', '22023', 'dimensions out of range', 'nine dimensions');
SELECT throws_ok('SELECT llm_atoms.hilbert_decode(1, 2, 0)', '22023', 'bits out of range', 'no bits');
SELECT throws_ok('SELECT llm_atoms.hilbert_decode(32768, 3, 5)', '22023', 'key out of range', 'a key beyond the curve');
SELECT throws_ok('SELECT llm_atoms.hilbert_decode(1.5, 3, 5)', '22023', 'key out of range', 'half a key');
SELECT throws_ok('SELECT llm_atoms.hilbert_decode(''NaN'', 3, 5)', '22023', 'key out of range', 'not a number');

SELECT * FROM finish();
ROLLBACK;
