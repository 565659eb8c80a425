-- Revert hartonomous:python_runtime_embedding_columns from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.embedding_columns();

COMMIT;
