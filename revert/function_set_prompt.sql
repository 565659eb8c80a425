-- Revert hartonomous:function_set_prompt from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.set_prompt(text, text);

COMMIT;
