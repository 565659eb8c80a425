-- Revert hartonomous:function_drop_model from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.drop_model(text);

COMMIT;
