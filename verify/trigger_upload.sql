-- Verify hartonomous:trigger_upload on pg

BEGIN;

SELECT 1 / count(*) FROM pg_catalog.pg_trigger
WHERE tgrelid = 'llm_store.upload'::regclass AND tgname = 'upload' AND tgfoid = 'llm_store.upload_tile()'::regprocedure;

ROLLBACK;
