-- Revert hartonomous:function_store_classify_rows from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.classify_rows(text, text[], text, jsonb);

COMMIT;
