-- Deploy hartonomous:function_store_publish to pg
-- requires: trigger_model_tensor_hash, function_store_check_model_name, function_store_check_manifest, function_drop_model, function_store_tokenizer, function_store_add_model, function_store_tensors, function_store_add_files, function_store_atomise, table_default_model

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.publish(name text, manifest jsonb, tokenizer text, replace boolean DEFAULT FALSE)
RETURNS integer
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    checked jsonb;
    new_model integer;
    default_kind text; -- of which the model that is replaced is the default
BEGIN
    IF manifest IS NULL OR tokenizer IS NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = 'a model needs a manifest and a tokenizer';
    END IF;
    PERFORM llm_store.check_model_name(name, replace);
    checked := llm_store.check_manifest(manifest);

    SELECT d.kind INTO default_kind
    FROM llm_store.default_model AS d
    INNER JOIN llm_store.model AS m ON m.id = d.model_id
    WHERE m.name = publish.name;
    PERFORM llm.drop_model(m.name) FROM llm_store.model AS m WHERE m.name = publish.name AND replace;
    new_model := llm_store.add_model(
        name,
        checked -> 'architecture',
        llm_store.store_tokenizer(tokenizer, checked -> 'tokenizer_settings'),
        manifest ->> 'container'
    );
    INSERT INTO llm_store.model_tensor (model_id, ordinal, name, tensor_hash)
    SELECT new_model, s.ordinal, s.name, s.hash FROM llm_store.store_tensors(manifest -> 'tensors') AS s;
    PERFORM llm_store.add_files(new_model, manifest -> 'files');
    PERFORM llm_store.atomise(new_model);

    -- The first of its kind, or the one in the place of the default: unless another was faster.
    INSERT INTO llm_store.default_model AS d (kind, model_id)
    SELECT m.kind, m.id
    FROM llm_store.model AS m
    WHERE
        m.id = new_model
        AND (
            m.kind = default_kind
            OR NOT EXISTS (SELECT FROM llm_store.model AS o WHERE o.kind = m.kind AND o.id <> m.id)
        )
    ON CONFLICT (kind) DO UPDATE SET model_id = excluded.model_id WHERE d.model_id IS NULL;
    RETURN new_model;
END
$function$;

ALTER FUNCTION llm_store.publish(text, jsonb, text, boolean) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.publish(text, jsonb, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.publish(text, jsonb, text, boolean) TO llm_loader;
COMMENT ON FUNCTION llm_store.publish(text, jsonb, text, boolean) IS
E'Makes a model called name from stored tiles and returns its id. It becomes visible as a whole when the transaction '
'commits.\n'
'manifest: {"architecture": {...}, "tokenizer_settings": {...}, "container": "gguf" or "huggingface", "tensors": '
'[{"name", "type", "shape", "tiles": [SHA-256 in hexadecimal, ...]}, ...], "files": [{"path", "segments": '
'[{"tensor": name} or {"tile": SHA-256}, ...]}, ...]}; tokenizer: a tokenizer.json document; replace: drop the model '
'of that name first.\n'
'Checks everything: tensors against the architecture, tiles against the tensors, the tokenizer against the '
'vocabulary, and that every weight is a finite number.\n'
'The first decoder and the first encoder become the defaults of their kind; so does a model that replaces a default.';

COMMIT;
