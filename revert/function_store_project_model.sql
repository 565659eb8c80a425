-- Revert hartonomous:function_store_project_model from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.project_model(integer);

COMMIT;
