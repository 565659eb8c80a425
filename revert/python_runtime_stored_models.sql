-- Revert hartonomous:python_runtime_stored_models from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.stored_models();

COMMIT;
