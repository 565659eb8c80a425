-- Revert hartonomous:python_runtime_generation from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.generation();

COMMIT;
