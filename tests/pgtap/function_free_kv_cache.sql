BEGIN;
SELECT plan(3);

SELECT ok(NOT llm.free_kv_cache(0), 'there is no cache 0');
SELECT ok(NOT llm.free_kv_cache(NULL), 'NULL is no cache');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.free_kv_cache(NULL::bigint)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
