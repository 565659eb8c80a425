-- Revert hartonomous:function_store_generate_stream_rows from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.generate_stream_rows;

COMMIT;
