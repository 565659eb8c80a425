-- Deploy hartonomous:function_set_default_model to pg
-- requires: schema_llm, table_default_model

-- Row-level security has the last word on who may (policy default_model_update); what is checked here is for the message.
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
    chosen record;
    present record;
BEGIN
    SELECT m.id, m.kind INTO chosen FROM llm_store.model AS m WHERE m.name = set_default_model.name;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = coalesce('model "' || name || '" does not exist', 'no model is named'),
            HINT = 'The models of this database are listed in llm.models.';
    END IF;
    SELECT m.name, m.owner INTO present
    FROM llm_store.default_model AS d
    INNER JOIN llm_store.model AS m ON m.id = d.model_id
    WHERE
        d.kind = chosen.kind
        AND m.id <> chosen.id
        AND NOT pg_has_role(current_user, m.owner, 'USAGE')
        AND NOT pg_has_role(current_user, 'llm_owner', 'USAGE');
    IF FOUND THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('must be owner of the default %s, "%s"', chosen.kind, present.name),
            DETAIL = format('It belongs to %s.', present.owner),
            HINT = 'Its owner can hand the default on, or a member of llm_owner.';
    END IF;
    INSERT INTO llm_store.default_model AS d (kind, model_id) VALUES (chosen.kind, chosen.id)
    ON CONFLICT (kind) DO UPDATE SET model_id = excluded.model_id WHERE d.model_id IS DISTINCT FROM excluded.model_id;
END
$function$;

ALTER FUNCTION llm.set_default_model(text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.set_default_model(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.set_default_model(text) TO llm_loader;
COMMENT ON FUNCTION llm.set_default_model(text) IS
E'Makes the model called name, anybody''s, the one of its kind that functions use when no model is named: a decoder '
'for those that generate, an encoder for embeddings.\n'
'The first model of a kind that is published is its default. From then on the owner of the default hands it on, or a '
'member of llm_owner does. When the default is dropped there is none until one is chosen.';

COMMIT;
