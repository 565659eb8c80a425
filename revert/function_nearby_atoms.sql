-- Revert hartonomous:function_nearby_atoms from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_atoms.nearby_atoms(public.geometry, integer);

COMMIT;
