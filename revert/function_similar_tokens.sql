-- Revert hartonomous:function_similar_tokens from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.similar_tokens(text, integer, text);

COMMIT;
