-- Revert hartonomous:python_runtime_threads from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.threads();

COMMIT;
