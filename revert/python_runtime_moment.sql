-- Revert hartonomous:python_runtime_moment from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.moment();

COMMIT;
