BEGIN;
SELECT plan(13);

SELECT is(llm.similarity('{3,4}'::real[], '{4,3}'::real[]), 0.96::double precision, 'the cosine of two vectors');
SELECT is(
    llm.similarity('\x0000803f00000000'::bytea, '\x000000000000803f'::bytea),
    0::double precision, 'of bytes too');
SELECT is(llm.similarity('{2,0}'::real[], '{-3,0}'::real[]), -1::double precision, 'lengths do not matter');
SELECT ok(llm.similarity('{0,0}'::real[], '{1,0}'::real[]) IS NULL, 'a vector of length 0 has no direction');
SELECT ok(llm.similarity(NULL::bytea, '\x0000803f'::bytea) IS NULL, 'NULL gives NULL');
SELECT throws_ok(
    $$SELECT llm.similarity('{1,2}'::real[], '{1}'::real[])$$,
    '22023', NULL, 'vectors of different lengths are an error');
SELECT throws_ok(
    $$SELECT llm.similarity('{Infinity,1}'::real[], '{1,1}'::real[])$$,
    '22023', NULL, 'a number that is not finite is an error');
SELECT throws_ok(
    $$SELECT llm.similarity('{1,1}'::real[], '{NaN,1}'::real[])$$,
    '22023', NULL, 'so is NaN');
SELECT is(
    llm.similarity('{1e30,1e30}'::real[], '{1e-25,0}'::real[])::numeric(10, 9),
    0.707106781, 'very long and very short vectors have a direction');
SELECT ok(llm.similarity('a', NULL) IS NULL, 'literals without a type are texts');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.similarity(NULL::real[], NULL::real[])', '42501', NULL, 'a role without rights may not');
SELECT throws_ok('SELECT llm.similarity(NULL::bytea, NULL::bytea)', '42501', NULL, 'a role without rights may not');
SELECT throws_ok('SELECT llm.similarity(NULL, NULL)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
