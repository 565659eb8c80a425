-- Revert hartonomous:function_store_upload_vocabulary from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.upload_vocabulary(text, jsonb);

COMMIT;
