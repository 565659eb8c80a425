-- Revert hartonomous:schema_llm_store from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP SCHEMA llm_store;

COMMIT;
