-- Revert hartonomous:function_store_upload_tensors from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.upload_tensors(jsonb);

COMMIT;
