-- Deploy hartonomous:trigger_model_tensor_codes to pg
-- requires: function_store_model_codes

-- SECURITY DEFINER: nobody who may add a tensor to a model may write which codes it has.
-- Triggers run in the order of their names: after those of the hash, which lock the model's row.
-- No trigger follows an insert: whoever makes a model ends with llm_store.atomise, which writes its codes. A restore of
-- data alone inserts tensors too, and brings the codes in rows of their own.
-- An update may change the hash alone, never the model, so the new rows name all the models that changed.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.keep_model_codes()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM llm_store.store_model_codes(ARRAY(SELECT DISTINCT c.model_id FROM changed AS c));
    RETURN NULL;
END
$function$;

ALTER FUNCTION llm_store.keep_model_codes() OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.keep_model_codes() FROM PUBLIC;
COMMENT ON FUNCTION llm_store.keep_model_codes() IS
'Updates which weight codes models have after their tensors changed.';

CREATE TRIGGER weight_codes_after_update
AFTER UPDATE ON llm_store.model_tensor
REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION llm_store.keep_model_codes();

CREATE TRIGGER weight_codes_after_delete
AFTER DELETE ON llm_store.model_tensor
REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION llm_store.keep_model_codes();

COMMENT ON TRIGGER weight_codes_after_update ON llm_store.model_tensor IS 'The codes of a model whose tensors changed.';
COMMENT ON TRIGGER weight_codes_after_delete ON llm_store.model_tensor IS 'The codes of a model that lost tensors.';

-- Models that are older than these triggers, where they were reverted and come back: what llm_store.atom_code_count has of them.
SELECT llm_store.store_model_codes(ARRAY(SELECT m.id FROM llm_store.model AS m));

COMMIT;
