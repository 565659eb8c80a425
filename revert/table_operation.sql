-- Revert hartonomous:table_operation from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP TABLE llm_store.operation;

COMMIT;
