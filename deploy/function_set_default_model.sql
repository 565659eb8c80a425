-- Deploy hartonomous:function_set_default_model to pg
-- requires: schema_llm, table_default_model

-- Row-level security decides who may do this (policy default_model_update). The checks here give better messages.
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
            HINT = 'Only its owner or a member of llm_owner can choose another default.';
    END IF;
    INSERT INTO llm_store.default_model AS d (kind, model_id) VALUES (chosen.kind, chosen.id)
    ON CONFLICT (kind) DO UPDATE SET model_id = excluded.model_id WHERE d.model_id IS DISTINCT FROM excluded.model_id;
END
$function$;

ALTER FUNCTION llm.set_default_model(text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.set_default_model(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.set_default_model(text) TO llm_loader;
COMMENT ON FUNCTION llm.set_default_model(text) IS
E'Makes the model called name the default of its kind, which functions use when no model is named: a decoder for '
'generation, an encoder for embeddings. It may belong to any role.\n'
'The first published model of a kind is its default. After that only the owner of the default, or a member of '
'llm_owner, can choose another. After the default was dropped there is none until one is chosen.';

COMMIT;
