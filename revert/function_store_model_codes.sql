-- Revert hartonomous:function_store_model_codes from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.store_model_codes(integer[]);

COMMIT;
