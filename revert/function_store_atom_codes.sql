-- Revert hartonomous:function_store_atom_codes from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.store_atom_codes(bytea[], text[]);

COMMIT;
