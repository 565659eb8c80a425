-- Revert hartonomous:python_runtime_sql from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.sql__weight_rows();
DROP FUNCTION llm_runtime.sql__token_map();
DROP FUNCTION llm_runtime.sql__summaries();
DROP FUNCTION llm_runtime.sql__streaming();
DROP FUNCTION llm_runtime.sql__similarity();
DROP FUNCTION llm_runtime.sql__session();
DROP FUNCTION llm_runtime.sql__search();
DROP FUNCTION llm_runtime.sql__scoring();
DROP FUNCTION llm_runtime.sql__samplers();
DROP FUNCTION llm_runtime.sql__prompts();
DROP FUNCTION llm_runtime.sql__packed_cache();
DROP FUNCTION llm_runtime.sql__operators();
DROP FUNCTION llm_runtime.sql__merge();
DROP FUNCTION llm_runtime.sql__ingestion();
DROP FUNCTION llm_runtime.sql__generation();
DROP FUNCTION llm_runtime.sql__embeddings();
DROP FUNCTION llm_runtime.sql__editing();
DROP FUNCTION llm_runtime.sql__diff();
DROP FUNCTION llm_runtime.sql__chunking();
DROP FUNCTION llm_runtime.sql__choices();
DROP FUNCTION llm_runtime.sql__chat_streaming();
DROP FUNCTION llm_runtime.sql__chat();
DROP FUNCTION llm_runtime.sql__boundary();
DROP FUNCTION llm_runtime.sql__batches();

COMMIT;
