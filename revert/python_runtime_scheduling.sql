-- Revert hartonomous:python_runtime_scheduling from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.scheduling();

COMMIT;
