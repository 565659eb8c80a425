-- Revert hartonomous:python_runtime_generate from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.generate__speculation();
DROP FUNCTION llm_runtime.generate__scheduler();
DROP FUNCTION llm_runtime.generate__sampling();
DROP FUNCTION llm_runtime.generate__prompt_lookup();
DROP FUNCTION llm_runtime.generate__prefix_cache();
DROP FUNCTION llm_runtime.generate__json_schemas();
DROP FUNCTION llm_runtime.generate__interfaces();
DROP FUNCTION llm_runtime.generate__draft_model();
DROP FUNCTION llm_runtime.generate__continuations();
DROP FUNCTION llm_runtime.generate__constraints();
DROP FUNCTION llm_runtime.generate__chat_templates();
DROP FUNCTION llm_runtime.generate__chat_prompts();
DROP FUNCTION llm_runtime.generate__candidates();
DROP FUNCTION llm_runtime.generate__answers();
DROP FUNCTION llm_runtime.generate__answer_stream();

COMMIT;
