-- Revert hartonomous:function_store_tensors from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.store_tensors(jsonb);

COMMIT;
