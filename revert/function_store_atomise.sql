-- Revert hartonomous:function_store_atomise from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.atomise(integer);

COMMIT;
