-- Revert hartonomous:function_store_pack_model from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.pack_model(bytea, text);

COMMIT;
