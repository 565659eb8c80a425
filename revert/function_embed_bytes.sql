-- Revert hartonomous:function_embed_bytes from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.embed_bytes(text, text, text);

COMMIT;
