-- Revert hartonomous:python_runtime_tensor_groups from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.tensor_groups();

COMMIT;
