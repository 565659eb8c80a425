-- Revert hartonomous:view_file_pieces from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP VIEW llm.file_pieces;

COMMIT;
