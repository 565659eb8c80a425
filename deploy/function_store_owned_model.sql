-- Deploy hartonomous:function_store_owned_model to pg
-- requires: table_model, role_llm_loader

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.owned_model(name text)
RETURNS integer
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    model record;
BEGIN
    SELECT m.id, m.owner INTO model FROM llm_store.model AS m WHERE m.name = owned_model.name;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = coalesce('model "' || name || '" does not exist', 'no model is named'),
            HINT = 'The models of this database are listed in llm.models.';
    ELSIF NOT pg_has_role(current_user, model.owner, 'USAGE') THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('must be owner of model "%s"', name),
            DETAIL = format('It belongs to %s.', model.owner);
    END IF;
    RETURN model.id;
END
$function$;

ALTER FUNCTION llm_store.owned_model(text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.owned_model(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.owned_model(text) TO llm_loader;
COMMENT ON FUNCTION llm_store.owned_model(text) IS
'The id of the model called name. Raises an error unless it exists and its owner is the caller or a role whose '
'rights the caller has.';

COMMIT;
