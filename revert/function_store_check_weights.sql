-- Revert hartonomous:function_store_check_weights from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.check_weights(bytea, text, boolean);

COMMIT;
