-- Revert hartonomous:table_model_code from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP TABLE llm_store.model_code;

COMMIT;
