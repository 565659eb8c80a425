-- Revert hartonomous:python_runtime_embeddings from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.embeddings();

COMMIT;
