-- Revert hartonomous:function_store_is_model_name from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.is_model_name(text);

COMMIT;
