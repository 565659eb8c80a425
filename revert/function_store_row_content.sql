-- Revert hartonomous:function_store_row_content from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.row_content(bytea, integer, integer, bigint);

COMMIT;
