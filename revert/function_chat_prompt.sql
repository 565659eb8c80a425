-- Revert hartonomous:function_chat_prompt from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.chat_prompt;

COMMIT;
