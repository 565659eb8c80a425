-- Revert hartonomous:function_store_embed_many_rows from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.embed_many_rows(text[], text, text);

COMMIT;
