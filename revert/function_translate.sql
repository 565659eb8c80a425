-- Revert hartonomous:function_translate from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.translate(text, text, text, integer);

COMMIT;
