-- Revert hartonomous:function_store_matches_query_rows from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.matches_query_rows;

COMMIT;
