-- Revert hartonomous:python_runtime_finite from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.finite();

COMMIT;
