-- Revert hartonomous:function_embedding from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.embedding(integer[], text);

COMMIT;
