-- Revert hartonomous:function_history from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.history(text);

COMMIT;
