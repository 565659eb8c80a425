-- Deploy hartonomous:function_drop_model to pg
-- requires: schema_llm, table_file_segment

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
    model record;
BEGIN
    SELECT m.id, m.owner INTO model FROM llm_store.model AS m WHERE m.name = drop_model.name;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = coalesce('model "' || name || '" does not exist', 'no model is named'),
            HINT = 'The models of this database are listed in llm.models.';
    ELSIF NOT pg_has_role(current_user, model.owner, 'USAGE') THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('must be owner of model "%s"', name),
            DETAIL = format('It belongs to %s.', model.owner);
    END IF;
    -- The lock of plpython/stored_models.py: an edit that is going on has the model's tensors before the model.
    PERFORM pg_advisory_xact_lock('llm_store.model'::regclass::oid::bigint << 32 | model.id);
    DELETE FROM llm_store.model AS m WHERE m.id = model.id;
END
$function$;

ALTER FUNCTION llm.drop_model(text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.drop_model(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.drop_model(text) TO llm_loader;
COMMENT ON FUNCTION llm.drop_model(text) IS
'Removes the model called name, which must belong to a role whose rights the caller has. CALL llm.collect() frees the '
'space of tensors that no other model has.';

COMMIT;
