-- Revert hartonomous:python_runtime_simd from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.simd__threads();
DROP FUNCTION llm_runtime.simd__registers();
DROP FUNCTION llm_runtime.simd__processors();
DROP FUNCTION llm_runtime.simd__memory();
DROP FUNCTION llm_runtime.simd__kernels();
DROP FUNCTION llm_runtime.simd__frames();

COMMIT;
