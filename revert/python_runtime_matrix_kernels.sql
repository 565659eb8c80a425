-- Revert hartonomous:python_runtime_matrix_kernels from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.matrix_kernels();

COMMIT;
