-- Revert hartonomous:function_store_logits_rows from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.logits_rows(integer[], text);

COMMIT;
