-- Revert hartonomous:python_runtime_similarity_kernels from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.similarity_kernels();

COMMIT;
