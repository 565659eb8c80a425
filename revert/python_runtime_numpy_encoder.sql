-- Revert hartonomous:python_runtime_numpy_encoder from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.numpy_encoder();

COMMIT;
