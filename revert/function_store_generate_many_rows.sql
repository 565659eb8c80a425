-- Revert hartonomous:function_store_generate_many_rows from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.generate_many_rows;

COMMIT;
