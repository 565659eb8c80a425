-- Revert hartonomous:function_store_publish from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.publish(text, jsonb, text, boolean);

COMMIT;
