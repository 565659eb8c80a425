-- Revert hartonomous:python_runtime_simd_memory from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.simd_memory();

COMMIT;
