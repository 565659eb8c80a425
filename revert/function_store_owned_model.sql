-- Revert hartonomous:function_store_owned_model from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.owned_model(text);

COMMIT;
