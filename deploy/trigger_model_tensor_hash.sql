-- Deploy hartonomous:trigger_model_tensor_hash to pg
-- requires: function_store_model_hash

-- SECURITY DEFINER: roles that may add a tensor to a model may not write its hash. So the hash cannot be forged, and what is
-- cached under it belongs to that content. A restore of data alone finds the hash that its rows give and writes nothing.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.keep_model_hash()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    UPDATE llm_store.model AS m SET hash = now.hash
    FROM (SELECT c.model_id, llm_store.model_hash(c.model_id) AS hash FROM changed AS c GROUP BY c.model_id) AS now
    WHERE m.id = now.model_id AND m.hash <> now.hash;
    RETURN NULL;
END
$function$;

ALTER FUNCTION llm_store.keep_model_hash() OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.keep_model_hash() FROM PUBLIC;
COMMENT ON FUNCTION llm_store.keep_model_hash() IS 'Computes the hash of the models whose tensors changed.';

CREATE TRIGGER hash_after_insert
AFTER INSERT ON llm_store.model_tensor
REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION llm_store.keep_model_hash();

CREATE TRIGGER hash_after_update
AFTER UPDATE ON llm_store.model_tensor
REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION llm_store.keep_model_hash();

CREATE TRIGGER hash_after_delete
AFTER DELETE ON llm_store.model_tensor
REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION llm_store.keep_model_hash();

COMMENT ON TRIGGER hash_after_insert ON llm_store.model_tensor IS 'The hash of a model that gained tensors.';
COMMENT ON TRIGGER hash_after_update ON llm_store.model_tensor IS 'The hash of a model whose tensors changed.';
COMMENT ON TRIGGER hash_after_delete ON llm_store.model_tensor IS 'The hash of a model that lost tensors.';

COMMIT;
