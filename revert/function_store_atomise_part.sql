-- Revert hartonomous:function_store_atomise_part from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.atomise_part(integer, integer);

COMMIT;
