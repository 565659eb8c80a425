-- Revert hartonomous:table_default_model from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP TABLE llm_store.default_model;

COMMIT;
