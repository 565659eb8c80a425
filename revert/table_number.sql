-- Revert hartonomous:table_number from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP TABLE llm_store.number;

COMMIT;
