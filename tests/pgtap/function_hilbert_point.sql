BEGIN;
SELECT plan(6);

SELECT is(
    st_asewkt(llm_atoms.hilbert_point(2305843009213725354, 2305843009213730816, 2305843009213913770)),
    'SRID=3857;POINT(12582912.251953125 12582912.501953125 12582912.751953125 12582913.001953125)',
    'the keys of a point give the point');
SELECT is(
    st_asewkt(llm_atoms.hilbert_point(k.h_xy, k.h_yz, k.h_zm)),
    'SRID=3857;POINT(8388608.001953125 16777215.998046875 8388608.001953125 16777215.998046875)',
    'the ends of the axes come back as the middles of their steps')
FROM llm_atoms.hilbert_keys(st_makepoint(8388608, 16777215.999, 8388608.001953125, 16777215.998046875)) AS k;
SELECT throws_ok(
    'SELECT llm_atoms.hilbert_point(2305843009213725354, 2305843009213730817, 2305843009213913770)', '22023',
    'the keys are not those of one point', 'keys of different points are refused');
SELECT throws_ok(
    'SELECT llm_atoms.hilbert_point(2305843009213725354, 2305843009213730816, 0)', '22023',
    'the keys are not those of one point', 'so is a wrong last key');
SELECT throws_ok('SELECT llm_atoms.hilbert_point(-1, 0, 0)', '22023', NULL, 'a negative key is refused');
SELECT is(llm_atoms.hilbert_point(NULL, 0, 0), NULL, 'no key, no point');

SELECT * FROM finish();
ROLLBACK;
