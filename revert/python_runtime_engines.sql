-- Revert hartonomous:python_runtime_engines from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.engines();

COMMIT;
