-- Revert hartonomous:function_store_forget_packed from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.forget_packed(bytea[]);

COMMIT;
