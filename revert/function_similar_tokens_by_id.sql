-- Revert hartonomous:function_similar_tokens_by_id from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.similar_tokens(integer, integer, text);

COMMIT;
