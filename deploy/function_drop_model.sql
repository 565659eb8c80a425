-- Deploy hartonomous:function_drop_model to pg
-- requires: schema_llm, table_file_segment, function_store_owned_model

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.drop_model(name text)
RETURNS void
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    model_id CONSTANT integer := llm_store.owned_model(name);
BEGIN
    -- The lock of plpython/store/models.py: an edit that is going on has the model's tensors before the model.
    PERFORM pg_advisory_xact_lock('llm_store.model'::regclass::oid::bigint << 32 | model_id);
    DELETE FROM llm_store.model AS m WHERE m.id = model_id;
END
$function$;

ALTER FUNCTION llm.drop_model(text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.drop_model(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.drop_model(text) TO llm_loader;
COMMENT ON FUNCTION llm.drop_model(text) IS
'Drops the model called name. Its owner must be the caller or a role whose rights the caller has. CALL llm.collect() '
'then frees the space of tensors that no other model has, in the tables and in the packed files.';

COMMIT;
