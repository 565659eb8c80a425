-- Revert hartonomous:function_store_tensor_hash from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.tensor_hash(text, bigint[], bytea[]);

COMMIT;
