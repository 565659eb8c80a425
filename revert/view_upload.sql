-- Revert hartonomous:view_upload from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP VIEW llm.upload;

COMMIT;
