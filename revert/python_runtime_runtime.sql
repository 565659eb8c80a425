-- Revert hartonomous:python_runtime_runtime from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.runtime();

COMMIT;
