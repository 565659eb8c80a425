-- Deploy hartonomous:function_store_add_model to pg
-- requires: table_model, role_llm_loader

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.add_model(name text, architecture jsonb, tokenizer_id integer, container text)
RETURNS integer
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    new_model integer;
BEGIN
    INSERT INTO llm_store.model AS m (name, architecture, tokenizer_id, container)
    VALUES (add_model.name, add_model.architecture, add_model.tokenizer_id, add_model.container)
    ON CONFLICT DO NOTHING
    RETURNING m.id INTO new_model;
    IF NOT FOUND THEN
        RAISE duplicate_object USING
            MESSAGE = format('model "%s" was created by another session meanwhile', name),
            HINT = 'Choose another name.';
    END IF;
    RETURN new_model;
END
$function$;

ALTER FUNCTION llm_store.add_model(text, jsonb, integer, text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.add_model(text, jsonb, integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.add_model(text, jsonb, integer, text) TO llm_loader;
COMMENT ON FUNCTION llm_store.add_model(text, jsonb, integer, text) IS
'Inserts the row of a model of the caller, without tensors, and returns its id. Checks the name again, as '
'llm_store.check_model_name does, because another session may have taken it meanwhile.';

COMMIT;
