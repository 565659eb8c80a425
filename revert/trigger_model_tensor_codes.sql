-- Revert hartonomous:trigger_model_tensor_codes from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP TRIGGER weight_codes_after_update ON llm_store.model_tensor;
DROP TRIGGER weight_codes_after_delete ON llm_store.model_tensor;
DROP FUNCTION llm_store.keep_model_codes();

COMMIT;
