-- Revert hartonomous:table_atom_run from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP TABLE llm_store.atom_run;

COMMIT;
