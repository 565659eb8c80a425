-- Revert hartonomous:python_runtime_searching from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.searching();

COMMIT;
