-- Revert hartonomous:python_runtime_loaded_model from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.loaded_model();

COMMIT;
