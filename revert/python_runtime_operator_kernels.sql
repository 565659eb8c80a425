-- Revert hartonomous:python_runtime_operator_kernels from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.operator_kernels();

COMMIT;
