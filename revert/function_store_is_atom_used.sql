-- Revert hartonomous:function_store_is_atom_used from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.is_atom_used(text, bytea);

COMMIT;
