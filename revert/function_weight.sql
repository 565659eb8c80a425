-- Revert hartonomous:function_weight from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.weight(text, integer, integer, text);

COMMIT;
