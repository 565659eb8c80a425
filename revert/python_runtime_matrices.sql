-- Revert hartonomous:python_runtime_matrices from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.matrices();

COMMIT;
