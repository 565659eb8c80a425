-- Revert hartonomous:function_store_chunk_rows from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.chunk_rows(text, text, integer, integer);

COMMIT;
