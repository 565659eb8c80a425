-- Revert hartonomous:function_embedding_of_token from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.embedding(integer, text);

COMMIT;
