-- Revert hartonomous:function_store_atom_keys from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.atom_keys(text, bytea, integer);

COMMIT;
