-- Revert hartonomous:function_runtime_chat from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.chat_prompt;
DROP FUNCTION llm_runtime.chat;

COMMIT;
