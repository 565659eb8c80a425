-- Revert hartonomous:python_runtime_compiled_operators from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.compiled_operators();

COMMIT;
