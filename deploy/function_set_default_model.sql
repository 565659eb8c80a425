-- Deploy hartonomous:function_set_default_model to pg
-- requires: schema_llm, table_model

-- SECURITY DEFINER: the flag has to leave a model that may belong to somebody else.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.set_default_model(name text)
RETURNS void
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM FROM llm_store.model AS m WHERE m.name = set_default_model.name;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = coalesce('model "' || name || '" does not exist', 'no model is named'),
            HINT = 'The models of this database are listed in llm.models.';
    END IF;
    UPDATE llm_store.model AS m SET is_default = false WHERE m.is_default AND m.name <> set_default_model.name;
    UPDATE llm_store.model AS m SET is_default = true WHERE NOT m.is_default AND m.name = set_default_model.name;
END
$function$;

ALTER FUNCTION llm.set_default_model(text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.set_default_model(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.set_default_model(text) TO llm_loader;
COMMENT ON FUNCTION llm.set_default_model(text) IS
'Makes the model called name the one that functions use when no model is named. The first model that is published is.';

COMMIT;
