-- Revert hartonomous:function_chat_details from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.chat_details;

COMMIT;
