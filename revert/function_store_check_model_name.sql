-- Revert hartonomous:function_store_check_model_name from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.check_model_name(text, boolean);

COMMIT;
