-- Revert hartonomous:view_store_upload from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP VIEW llm_store.upload;

COMMIT;
