-- Revert hartonomous:python_runtime_stored_rows from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.stored_rows();

COMMIT;
