-- Revert hartonomous:python_runtime_background from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.background();

COMMIT;
