-- Revert hartonomous:schema_llm_atoms from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP SCHEMA llm_atoms;

COMMIT;
