BEGIN;
SELECT plan(9);

CREATE TEMPORARY TABLE place AS
SELECT public.st_makepoint(12582912.251953125, 12582912.501953125, 12582912.751953125, 12582913.001953125) AS point;

SELECT is(
    llm_atoms.hilbert_keys(point),
    (2305843009213725354, 2305843009213730816, 2305843009213913770),
    'the package hilbertcurve 2.0.5 gives these keys for the steps 2^30 + 64, + 128, + 192 and + 256')
FROM place;
SELECT is(
    llm_atoms.hilbert_keys(public.st_makepoint(12582912.25, 12582912.503, 12582912.75, 12582913)),
    llm_atoms.hilbert_keys(point), 'all of a step of 1/256 has one key')
FROM place;
SELECT is(
    llm_atoms.hilbert_keys(public.st_setsrid(point, 3857)), llm_atoms.hilbert_keys(point), 'the SRID does not matter')
FROM place;
SELECT throws_ok(
    'SELECT llm_atoms.hilbert_keys(public.st_makepoint(9e6, 9e6, 9e6))',
    '22023', 'not a point with x, y, z and m', 'a point without m');
SELECT throws_ok(
    'SELECT llm_atoms.hilbert_keys(''POINT ZM EMPTY'')', '22023', 'not a point with x, y, z and m', 'an empty point');
SELECT throws_ok(
    'SELECT llm_atoms.hilbert_keys(''LINESTRING ZM (1 2 3 4, 5 6 7 8)'')',
    '22023', 'not a point with x, y, z and m', 'a line');
SELECT throws_ok(
    'SELECT llm_atoms.hilbert_keys(public.st_makepoint(9e6, 9e6, 9e6, 16777216))',
    '22023', 'coordinate out of range', 'beyond the domain');
SELECT throws_ok(
    'SELECT llm_atoms.hilbert_keys(public.st_makepoint(9e6, 8388607, 9e6, 9e6))',
    '22023', 'coordinate out of range', 'below the domain');
SELECT throws_ok(
    'SELECT llm_atoms.hilbert_keys(public.st_makepoint(9e6, 9e6, 9e6, ''NaN''))',
    '22023', 'coordinate out of range', 'not a number');

SELECT * FROM finish();
ROLLBACK;
