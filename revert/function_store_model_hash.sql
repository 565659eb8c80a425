-- Revert hartonomous:function_store_model_hash from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.model_hash(integer);

COMMIT;
