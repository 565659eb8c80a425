BEGIN;
SELECT plan(2);

SELECT ok(coalesce(l.running, 1) > 0 AND coalesce(l.threads, 1) > 0, 'no limit is nothing at all')
FROM llm_runtime.run_limits() AS l;

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT * FROM llm_runtime.run_limits()', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
