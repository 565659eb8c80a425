BEGIN;
SELECT plan(7);

SELECT results_eq(
    'SELECT p.x, p.y FROM generate_series(0, 3) AS key, llm_atoms.hilbert_decode_2d(key, 1) AS p ORDER BY key',
    'VALUES (0::bigint, 0::bigint), (0, 1), (1, 1), (1, 0)',
    'the curve of one bit goes up, right and down');
SELECT is(
    llm_atoms.hilbert_decode_2d(1537228672809129318), (5::bigint, 2147483647::bigint),
    'the package hilbertcurve 2.0.5 gives the same cell');
SELECT results_eq(
    $$SELECT count(DISTINCT p) = 1024 AND bool_and(llm_atoms.hilbert_encode_2d(p.x, p.y, 5) = key)
        FROM generate_series(0, 1023) AS key, llm_atoms.hilbert_decode_2d(key, 5) AS p$$,
    'VALUES (true)',
    'every key of a grid has a cell of its own, and the cell gives the key');
SELECT is_empty(
    $$SELECT FROM (
        SELECT p.x - lag(p.x) OVER w AS dx, p.y - lag(p.y) OVER w AS dy
        FROM generate_series(0, 4095) AS key, llm_atoms.hilbert_decode_2d(key, 6) AS p WINDOW w AS (ORDER BY key)
    ) AS step WHERE abs(dx) + abs(dy) <> 1$$,
    'consecutive keys are neighbouring cells');
SELECT throws_ok('SELECT llm_atoms.hilbert_decode_2d(64, 3)', '22023', NULL, 'a key beyond the curve is refused');
SELECT throws_ok('SELECT llm_atoms.hilbert_decode_2d(-1, 3)', '22023', NULL, 'a negative key is refused');
SELECT throws_ok('SELECT llm_atoms.hilbert_decode_2d(1, 32)', '22023', NULL, '32 bits are refused');

SELECT * FROM finish();
ROLLBACK;
