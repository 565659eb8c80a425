-- Revert hartonomous:function_chat from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.chat;

COMMIT;
