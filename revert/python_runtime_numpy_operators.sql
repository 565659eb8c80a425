-- Revert hartonomous:python_runtime_numpy_operators from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.numpy_operators();

COMMIT;
