-- Revert hartonomous:function_store_collect_atoms from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.collect_atoms(integer);

COMMIT;
