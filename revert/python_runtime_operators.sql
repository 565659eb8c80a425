-- Revert hartonomous:python_runtime_operators from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.operators();

COMMIT;
