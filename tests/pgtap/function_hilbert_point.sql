BEGIN;
SELECT plan(6);

SELECT is(
    st_asewkt(llm.hilbert_point(2305843009213725354, 2305843009213730816, 2305843009213913770)),
    'SRID=3857;POINT(1 2 3 4)', 'the keys of a point give the point');
SELECT is(
    st_asewkt(llm.hilbert_point(k.h_xy, k.h_yz, k.h_zm)),
    'SRID=3857;POINT(-16777216 16777215.984375 0.5 -0.015625)', 'the edges of the domain come back')
FROM llm.hilbert_keys(st_makepoint(-16777216, 16777215.984375, 0.5, -0.001)) AS k;
SELECT throws_ok(
    'SELECT llm.hilbert_point(2305843009213725354, 2305843009213730817, 2305843009213913770)', '22023',
    'the keys are not those of one point', 'keys of different points are refused');
SELECT throws_ok(
    'SELECT llm.hilbert_point(2305843009213725354, 2305843009213730816, 0)', '22023',
    'the keys are not those of one point', 'so is a wrong last key');
SELECT throws_ok('SELECT llm.hilbert_point(-1, 0, 0)', '22023', NULL, 'a negative key is refused');
SELECT is(llm.hilbert_point(NULL, 0, 0), NULL, 'no key, no point');

SELECT * FROM finish();
ROLLBACK;
