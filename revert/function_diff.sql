-- Revert hartonomous:function_diff from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.diff(text, text);

COMMIT;
