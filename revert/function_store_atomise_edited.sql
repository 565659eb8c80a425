-- Revert hartonomous:function_store_atomise_edited from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.atomise_edited(bytea, bytea);

COMMIT;
