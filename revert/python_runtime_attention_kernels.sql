-- Revert hartonomous:python_runtime_attention_kernels from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.attention_kernels();

COMMIT;
