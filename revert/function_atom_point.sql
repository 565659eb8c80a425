-- Revert hartonomous:function_atom_point from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_atoms.atom_point(bytea);

COMMIT;
