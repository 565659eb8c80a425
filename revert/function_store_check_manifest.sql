-- Revert hartonomous:function_store_check_manifest from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.check_manifest(jsonb);

COMMIT;
