-- Revert hartonomous:function_chat_stream from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.chat_stream;

COMMIT;
