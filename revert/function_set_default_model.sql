-- Revert hartonomous:function_set_default_model from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.set_default_model(text, text);

COMMIT;
