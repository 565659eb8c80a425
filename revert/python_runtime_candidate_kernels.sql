-- Revert hartonomous:python_runtime_candidate_kernels from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.candidate_kernels();

COMMIT;
