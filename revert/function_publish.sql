-- Revert hartonomous:function_publish from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.publish(text, jsonb, text, boolean);

COMMIT;
