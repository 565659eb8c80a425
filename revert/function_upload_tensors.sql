-- Revert hartonomous:function_upload_tensors from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.upload_tensors(jsonb);

COMMIT;
