-- Revert hartonomous:python_runtime_store from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.store__tokens();
DROP FUNCTION llm_runtime.store__tensor_writer();
DROP FUNCTION llm_runtime.store__models();
DROP FUNCTION llm_runtime.store__merge_methods();
DROP FUNCTION llm_runtime.store__manifest();
DROP FUNCTION llm_runtime.store__embedding_columns();

COMMIT;
