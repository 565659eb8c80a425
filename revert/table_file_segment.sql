-- Revert hartonomous:table_file_segment from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP TABLE llm_store.file_segment;

COMMIT;
