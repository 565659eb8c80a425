-- Revert hartonomous:function_store_vocabulary from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.vocabulary(text, jsonb);

COMMIT;
