-- Revert hartonomous:python_runtime_forward_steps from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.forward_steps();

COMMIT;
