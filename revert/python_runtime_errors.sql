-- Revert hartonomous:python_runtime_errors from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.errors();

COMMIT;
