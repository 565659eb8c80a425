-- Revert hartonomous:python_runtime_sampling from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.sampling();

COMMIT;
