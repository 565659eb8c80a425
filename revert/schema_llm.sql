-- Revert hartonomous:schema_llm from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP SCHEMA llm;

COMMIT;
