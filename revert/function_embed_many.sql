-- Revert hartonomous:function_embed_many from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.embed_many(text[], text, text);

COMMIT;
