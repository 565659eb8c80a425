-- Revert hartonomous:function_embedding_of_text from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.embedding(text, text);

COMMIT;
