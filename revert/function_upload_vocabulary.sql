-- Revert hartonomous:function_upload_vocabulary from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.upload_vocabulary(text, jsonb);

COMMIT;
