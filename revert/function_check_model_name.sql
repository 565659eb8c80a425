-- Revert hartonomous:function_check_model_name from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.check_model_name(text, boolean);

COMMIT;
