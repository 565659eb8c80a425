BEGIN;
SELECT plan(2);

SELECT ok(l.bytes > 0 AND l.free_bytes >= 0, 'there are limits') FROM llm_runtime.pack_limits() AS l;

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT * FROM llm_runtime.pack_limits()', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
