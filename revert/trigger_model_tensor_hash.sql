-- Revert hartonomous:trigger_model_tensor_hash from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP TRIGGER hash_after_insert ON llm_store.model_tensor;
DROP TRIGGER hash_after_update ON llm_store.model_tensor;
DROP TRIGGER hash_after_delete ON llm_store.model_tensor;
DROP FUNCTION llm_store.keep_model_hash();

COMMIT;
