-- Revert hartonomous:function_store_code_lines from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.code_lines();

COMMIT;
