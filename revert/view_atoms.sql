-- Revert hartonomous:view_atoms from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP VIEW llm_atoms.atoms;

COMMIT;
