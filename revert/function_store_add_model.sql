-- Revert hartonomous:function_store_add_model from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.add_model(text, jsonb, integer, text);

COMMIT;
