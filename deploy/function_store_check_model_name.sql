-- Deploy hartonomous:function_store_check_model_name to pg
-- requires: schema_llm_store, function_store_is_model_name, function_store_owned_model

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.check_model_name(name text, replace boolean DEFAULT FALSE)
RETURNS void
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF llm_store.is_model_name(name) IS NOT true THEN
        RAISE invalid_parameter_value USING
            MESSAGE = coalesce('"' || left(name, 120) || '" is not a name for a model', 'a model needs a name'),
            HINT = 'Use 1 to 100 letters, digits and . _ : / @ + -, beginning with a letter or digit.';
    ELSIF EXISTS (SELECT FROM llm_store.model AS m WHERE m.name = check_model_name.name) THEN
        IF replace IS NOT true THEN
            RAISE duplicate_object USING
                MESSAGE = format('model "%s" already exists', name),
                HINT = 'Choose another name, drop that model first, or replace it.';
        END IF;
        PERFORM llm_store.owned_model(name);
    END IF;
END
$function$;

ALTER FUNCTION llm_store.check_model_name(text, boolean) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.check_model_name(text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.check_model_name(text, boolean) TO llm_loader;
COMMENT ON FUNCTION llm_store.check_model_name(text, boolean) IS
'Raises the error that llm_store.publish would raise for the name, so that a loader can check before it sends '
'gigabytes: '
'the name is invalid, it is taken, or, with replace, the model of that name belongs to another role.';

COMMIT;
