-- Revert hartonomous:python_runtime_kernels from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.kernels__similarity();
DROP FUNCTION llm_runtime.kernels__packing();
DROP FUNCTION llm_runtime.kernels__matrix();
DROP FUNCTION llm_runtime.kernels__layouts__q8();
DROP FUNCTION llm_runtime.kernels__layouts__q5();
DROP FUNCTION llm_runtime.kernels__layouts__q4();
DROP FUNCTION llm_runtime.kernels__layouts__f32();
DROP FUNCTION llm_runtime.kernels__layouts__f16();
DROP FUNCTION llm_runtime.kernels__layouts__bf16();
DROP FUNCTION llm_runtime.kernels__kv_pages();
DROP FUNCTION llm_runtime.kernels__groups();
DROP FUNCTION llm_runtime.kernels__floats();
DROP FUNCTION llm_runtime.kernels__elementwise();
DROP FUNCTION llm_runtime.kernels__dispatch();
DROP FUNCTION llm_runtime.kernels__cosine();
DROP FUNCTION llm_runtime.kernels__candidates();
DROP FUNCTION llm_runtime.kernels__blocks();
DROP FUNCTION llm_runtime.kernels__attention();

COMMIT;
