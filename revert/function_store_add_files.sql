-- Revert hartonomous:function_store_add_files from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.add_files(integer, jsonb);

COMMIT;
