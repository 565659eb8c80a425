BEGIN;
SELECT plan(9);

SELECT is(
    llm.hilbert_keys(st_makepoint(1, 2, 3, 4)),
    (2305843009213725354, 2305843009213730816, 2305843009213913770),
    'the package hilbertcurve 2.0.5 gives these keys for the steps 2^30 + 64, + 128, + 192 and + 256');
SELECT is(
    llm.hilbert_keys(st_makepoint(1.015, 2, 3, 4.001)), llm.hilbert_keys(st_makepoint(1, 2, 3, 4)),
    'between two steps of 1/64 is rounded down');
SELECT is(
    llm.hilbert_keys(st_setsrid(st_makepoint(1, 2, 3, 4), 3857)), llm.hilbert_keys(st_makepoint(1, 2, 3, 4)),
    'the SRID does not matter');
SELECT throws_ok(
    'SELECT llm.hilbert_keys(st_makepoint(1, 2, 3))', '22023', 'not a point with x, y, z and m', 'a point without m');
SELECT throws_ok(
    'SELECT llm.hilbert_keys(''POINT ZM EMPTY'')', '22023', 'not a point with x, y, z and m', 'an empty point');
SELECT throws_ok(
    'SELECT llm.hilbert_keys(''LINESTRING ZM (1 2 3 4, 5 6 7 8)'')', '22023', 'not a point with x, y, z and m',
    'a line');
SELECT throws_ok(
    'SELECT llm.hilbert_keys(st_makepoint(1, 2, 3, 16777216))', '22023', 'coordinate out of range',
    'beyond the domain');
SELECT throws_ok(
    'SELECT llm.hilbert_keys(st_makepoint(1, -16777217, 3, 4))', '22023', 'coordinate out of range',
    'below the domain');
SELECT throws_ok(
    'SELECT llm.hilbert_keys(st_makepoint(1, 2, 3, ''NaN''))', '22023', 'coordinate out of range', 'not a number');

SELECT * FROM finish();
ROLLBACK;
