-- Revert hartonomous:table_atom from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP TABLE llm_store.atom;

COMMIT;
