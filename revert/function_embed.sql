-- Revert hartonomous:function_embed from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.embed(text, text, text);

COMMIT;
