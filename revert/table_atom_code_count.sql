-- Revert hartonomous:table_atom_code_count from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP TABLE llm_store.atom_code_count;

COMMIT;
