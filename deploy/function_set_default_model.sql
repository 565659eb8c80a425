-- Deploy hartonomous:function_set_default_model to pg
-- requires: schema_llm, table_default_model

-- Row-level security decides who may do this (policy default_model_update). The checks here give better messages.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.set_default_model(model text, kind text DEFAULT NULL)
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
    IF set_default_model.kind NOT IN ('decoder', 'encoder') THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('there is no kind of model "%s"', set_default_model.kind),
            HINT = 'The kinds are decoder and encoder.';
    END IF;
    SELECT m.id, m.kind INTO chosen FROM llm_store.model AS m WHERE m.name = set_default_model.model;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = coalesce('model "' || model || '" does not exist', 'no model is named'),
            HINT = 'The models of this database are listed in llm.models.';
    END IF;
    IF chosen.kind <> set_default_model.kind THEN
        RAISE wrong_object_type USING
            MESSAGE = format('model "%s" is no %s', model, set_default_model.kind),
            DETAIL = format('Its kind is %s.', chosen.kind),
            HINT = 'llm.models says what each model is.';
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
    ON CONFLICT ON CONSTRAINT default_model_pkey DO UPDATE SET model_id = excluded.model_id WHERE d.model_id IS DISTINCT FROM excluded.model_id;
END
$function$;

ALTER FUNCTION llm.set_default_model(text, text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.set_default_model(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.set_default_model(text, text) TO llm_loader;
COMMENT ON FUNCTION llm.set_default_model(text, text) IS
E'Makes a model the default of its kind, which functions use when no model is named: a decoder for generation, an '
'encoder for embeddings. It may belong to any role.\n'
'The first published model of a kind is its default. After that only the owner of the default, or a member of '
'llm_owner, can choose another. After the default was dropped there is none until one is chosen.\n'
'model: a name from llm.models.\n'
'kind: decoder or encoder; a model of another kind is then an error. NULL: whatever the model is.';

COMMIT;
