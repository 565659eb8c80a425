-- Revert hartonomous:python_runtime_warm_up from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.warm_up();

COMMIT;
