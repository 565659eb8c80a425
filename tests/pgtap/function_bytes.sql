BEGIN;
SELECT plan(6);

SELECT ok(llm.bytes(NULL) IS NULL, 'NULL gives NULL');
SELECT is(llm.bytes(ARRAY[1, -2]), '\x0000803f000000c0'::bytea, 'little-endian float32');
SELECT is(llm.floats(llm.bytes(ARRAY[1.5, -0.1, 3e38])), ARRAY[1.5, -0.1, 3e38]::real[], 'floats is the inverse');
SELECT throws_ok(
    $$SELECT llm.bytes(ARRAY[1, NULL])$$,
    '22023', NULL, 'NULL is no number');
SELECT throws_ok(
    $$SELECT llm.bytes(ARRAY[1e39])$$,
    '22023', NULL, 'float32 ends at 3.4e38');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.bytes(NULL::double precision[])', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
