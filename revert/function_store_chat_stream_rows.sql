-- Revert hartonomous:function_store_chat_stream_rows from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.chat_stream_rows;

COMMIT;
