-- Revert hartonomous:python_runtime_arguments from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.arguments();

COMMIT;
