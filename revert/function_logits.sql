-- Revert hartonomous:function_logits from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.logits(integer[], text);

COMMIT;
