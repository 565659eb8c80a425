-- Revert hartonomous:view_files from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP VIEW llm.files;

COMMIT;
