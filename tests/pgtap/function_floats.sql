BEGIN;
SELECT plan(4);

SELECT ok(llm.floats(NULL) IS NULL, 'NULL gives NULL');
SELECT is(llm.floats('\x0000803f000000c0'), ARRAY[1, -2]::real[], 'little-endian float32');
SELECT throws_ok(
    $$SELECT llm.floats('\x000000')$$,
    '22023', NULL, 'three bytes are no number');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.floats(NULL::bytea)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
