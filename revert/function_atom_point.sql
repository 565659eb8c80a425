-- Revert hartonomous:function_atom_point from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.atom_point(bytea);

COMMIT;
