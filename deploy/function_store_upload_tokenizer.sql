-- Deploy hartonomous:function_store_upload_tokenizer to pg
-- requires: schema_llm_store, function_store_upload_vocabulary, function_store_atomise_tokenizer

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.upload_tokenizer(tokenizer text, settings jsonb)
RETURNS bigint
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN llm_store.atomise_tokenizer(llm_store.upload_vocabulary(tokenizer, settings));
END
$function$;

ALTER FUNCTION llm_store.upload_tokenizer(text, jsonb) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.upload_tokenizer(text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.upload_tokenizer(text, jsonb) TO llm_loader;
COMMENT ON FUNCTION llm_store.upload_tokenizer(text, jsonb) IS
E'Stores a tokenizer (a tokenizer.json document, and the settings of its manifest with vocabulary_size) with its '
'vocabulary and atoms, or the parts that are missing, ahead of llm_store.publish, for example on a second '
'connection while '
'tiles are sent. Returns how many tokens it has, 0 if it was stored already.\n'
'No view shows it before a model has it. If none ever does, llm.collect removes it.';

COMMIT;
