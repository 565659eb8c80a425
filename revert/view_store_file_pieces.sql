-- Revert hartonomous:view_store_file_pieces from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP VIEW llm_store.file_pieces;

COMMIT;
