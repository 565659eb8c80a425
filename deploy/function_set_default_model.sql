-- Deploy hartonomous:function_set_default_model to pg
-- requires: schema_llm, table_model

-- Row-level security has the last word on who may (policy model_default); what is checked here is for the message.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.set_default_model(name text)
RETURNS void
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    present record;
BEGIN
    PERFORM FROM llm_store.model AS m WHERE m.name = set_default_model.name;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = coalesce('model "' || name || '" does not exist', 'no model is named'),
            HINT = 'The models of this database are listed in llm.models.';
    END IF;
    SELECT m.name, m.owner INTO present FROM llm_store.model AS m
    WHERE
        m.is_default
        AND m.name <> set_default_model.name
        AND NOT pg_has_role(current_user, m.owner, 'USAGE')
        AND NOT pg_has_role(current_user, 'llm_owner', 'USAGE');
    IF FOUND THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('must be owner of the default model, "%s"', present.name),
            DETAIL = format('It belongs to %s.', present.owner),
            HINT = 'Its owner can hand the default on, or a member of llm_owner.';
    END IF;
    UPDATE llm_store.model AS m SET is_default = false WHERE m.is_default AND m.name <> set_default_model.name;
    UPDATE llm_store.model AS m SET is_default = true WHERE NOT m.is_default AND m.name = set_default_model.name;
END
$function$;

ALTER FUNCTION llm.set_default_model(text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.set_default_model(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.set_default_model(text) TO llm_loader;
COMMENT ON FUNCTION llm.set_default_model(text) IS
E'Makes the model called name, anybody''s, the one that functions use when no model is named.\n'
'The first model that is published is; from then on the owner of the default model hands it on, or a member of '
'llm_owner does.';

COMMIT;
