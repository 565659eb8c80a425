-- Verify hartonomous:trigger_model_tensor_codes on pg

BEGIN;

SELECT 1 / (count(*) = 2)::integer FROM pg_catalog.pg_trigger
WHERE tgrelid = 'llm_store.model_tensor'::regclass AND tgfoid = 'llm_store.keep_model_codes()'::regprocedure;

ROLLBACK;
