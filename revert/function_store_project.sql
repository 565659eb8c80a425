-- Revert hartonomous:function_store_project from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.project(bytea);

COMMIT;
