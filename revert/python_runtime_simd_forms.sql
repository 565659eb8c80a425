-- Revert hartonomous:python_runtime_simd_forms from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.simd_forms();

COMMIT;
