-- Revert hartonomous:schema_llm_runtime from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP SCHEMA llm_runtime;

COMMIT;
