-- Revert hartonomous:function_store_classify_query_rows from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.classify_query_rows;

COMMIT;
