-- Revert hartonomous:view_atom_layer from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP VIEW llm_store.atom_layer;

COMMIT;
