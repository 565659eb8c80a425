-- Revert hartonomous:function_store_atomise_tensors from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.atomise_tensors(bytea[], text[]);

COMMIT;
