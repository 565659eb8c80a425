-- Revert hartonomous:function_store_copy_atoms from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.copy_atoms(integer);
REVOKE INSERT ON llm_store.atom FROM llm_atom_copier;
REVOKE USAGE ON SCHEMA llm_store FROM llm_atom_copier;

COMMIT;
