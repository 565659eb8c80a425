-- Revert hartonomous:python_runtime_model from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.model__tokenizer();
DROP FUNCTION llm_runtime.model__scale_search();
DROP FUNCTION llm_runtime.model__rope_rows();
DROP FUNCTION llm_runtime.model__quantizers();
DROP FUNCTION llm_runtime.model__mixes();
DROP FUNCTION llm_runtime.model__long_texts();
DROP FUNCTION llm_runtime.model__finite();
DROP FUNCTION llm_runtime.model__encodings();
DROP FUNCTION llm_runtime.model__encoder();
DROP FUNCTION llm_runtime.model__decoder();

COMMIT;
