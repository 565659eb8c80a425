-- Revert hartonomous:function_store_tensor_layout from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.tensor_layout(jsonb);

COMMIT;
