-- Revert hartonomous:python_runtime_kernels from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.kernels__superblocks();
DROP FUNCTION llm_runtime.kernels__starts();
DROP FUNCTION llm_runtime.kernels__similarity();
DROP FUNCTION llm_runtime.kernels__products();
DROP FUNCTION llm_runtime.kernels__prefetching();
DROP FUNCTION llm_runtime.kernels__panels();
DROP FUNCTION llm_runtime.kernels__packing();
DROP FUNCTION llm_runtime.kernels__packers();
DROP FUNCTION llm_runtime.kernels__matrix();
DROP FUNCTION llm_runtime.kernels__layouts__q8();
DROP FUNCTION llm_runtime.kernels__layouts__q6k();
DROP FUNCTION llm_runtime.kernels__layouts__q5k();
DROP FUNCTION llm_runtime.kernels__layouts__q5_1();
DROP FUNCTION llm_runtime.kernels__layouts__q5();
DROP FUNCTION llm_runtime.kernels__layouts__q4k();
DROP FUNCTION llm_runtime.kernels__layouts__q4_1();
DROP FUNCTION llm_runtime.kernels__layouts__q4();
DROP FUNCTION llm_runtime.kernels__layouts__q3k();
DROP FUNCTION llm_runtime.kernels__layouts__q2k();
DROP FUNCTION llm_runtime.kernels__layouts__mxfp4();
DROP FUNCTION llm_runtime.kernels__layouts__iq4xs();
DROP FUNCTION llm_runtime.kernels__layouts__iq4();
DROP FUNCTION llm_runtime.kernels__layouts__iq3xxs();
DROP FUNCTION llm_runtime.kernels__layouts__iq3s();
DROP FUNCTION llm_runtime.kernels__layouts__iq2();
DROP FUNCTION llm_runtime.kernels__layouts__iq1();
DROP FUNCTION llm_runtime.kernels__layouts__f32();
DROP FUNCTION llm_runtime.kernels__layouts__f16();
DROP FUNCTION llm_runtime.kernels__layouts__bf16();
DROP FUNCTION llm_runtime.kernels__kv_pages();
DROP FUNCTION llm_runtime.kernels__groups();
DROP FUNCTION llm_runtime.kernels__grids();
DROP FUNCTION llm_runtime.kernels__floats();
DROP FUNCTION llm_runtime.kernels__elementwise();
DROP FUNCTION llm_runtime.kernels__dispatch();
DROP FUNCTION llm_runtime.kernels__cosine();
DROP FUNCTION llm_runtime.kernels__candidates();
DROP FUNCTION llm_runtime.kernels__blocks();
DROP FUNCTION llm_runtime.kernels__attention();

COMMIT;
