-- Revert hartonomous:function_embedding from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.embedding(integer[], text);
DROP FUNCTION llm_runtime.embedding(integer[], text);

COMMIT;
