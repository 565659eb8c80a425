-- Revert hartonomous:table_atom_byte_count from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP TABLE llm_store.atom_byte_count;

COMMIT;
