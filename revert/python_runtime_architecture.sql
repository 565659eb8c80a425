-- Revert hartonomous:python_runtime_architecture from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.architecture();

COMMIT;
