-- Revert hartonomous:function_tidy from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.tidy(text, text, text);

COMMIT;
