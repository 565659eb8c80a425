-- Revert hartonomous:table_model from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP TABLE llm_store.model;

COMMIT;
