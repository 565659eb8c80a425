-- Revert hartonomous:trigger_upload from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP TRIGGER upload ON llm_store.upload;
DROP FUNCTION llm_store.upload_tile();

COMMIT;
