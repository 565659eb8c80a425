-- Deploy hartonomous:function_store_upload_vocabulary to pg
-- requires: schema_llm_store, function_store_tokenizer

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.upload_vocabulary(tokenizer text, settings jsonb)
RETURNS integer
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF tokenizer IS NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = 'the tokenizer is NULL, expected a tokenizer.json document';
    ELSIF coalesce(settings ->> 'vocabulary_size', '') !~ '^[1-9][0-9]{0,7}$' THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'the tokenizer''s settings have no valid vocabulary_size',
            HINT = 'It is the number of rows of the model''s embedding.';
    END IF;
    RETURN llm_store.store_tokenizer(tokenizer, settings);
END
$function$;

ALTER FUNCTION llm_store.upload_vocabulary(text, jsonb) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.upload_vocabulary(text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.upload_vocabulary(text, jsonb) TO llm_loader;
COMMENT ON FUNCTION llm_store.upload_vocabulary(text, jsonb) IS
E'Stores a tokenizer (a tokenizer.json document, and the settings of its manifest with vocabulary_size) with its '
'vocabulary ahead of llm_store.publish. Returns its number, which llm_store.upload_token_atoms needs.\n'
'No view shows it before a model has it. If none ever does, llm.collect removes it.';

COMMIT;
