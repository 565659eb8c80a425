-- Deploy hartonomous:function_publish to pg
-- requires: table_file_segment, trigger_model_tensor_hash, function_store_check_manifest, function_store_tokenizer, function_store_tensors, function_set_default_model, function_drop_model, function_store_atomise

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.publish(name text, manifest jsonb, tokenizer text, replace boolean DEFAULT FALSE)
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
    new_tokenizer integer;
    make_default boolean;
    missing record;
BEGIN
    IF manifest IS NULL OR tokenizer IS NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = 'a model needs a manifest and a tokenizer';
    ELSIF name IS NULL OR name !~ '^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,99}$' THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('"%s" is not a name for a model', left(name, 120)),
            HINT = 'Use 1 to 100 letters, digits and . _ : / @ + -, beginning with a letter or digit.';
    END IF;
    checked := llm_store.check_manifest(manifest);

    IF EXISTS (SELECT FROM llm_store.model AS m WHERE m.name = publish.name) THEN
        IF replace IS NOT true THEN
            RAISE duplicate_object USING
                MESSAGE = format('model "%s" already exists', name),
                HINT = 'Choose another name, drop it first, or publish with replace => true.';
        END IF;
        make_default := (SELECT m.is_default FROM llm_store.model AS m WHERE m.name = publish.name);
        PERFORM llm.drop_model(name);
    END IF;

    new_tokenizer := llm_store.store_tokenizer(tokenizer, checked -> 'tokenizer_settings');
    BEGIN
        INSERT INTO llm_store.model AS m (name, architecture, tokenizer_id, container)
        VALUES (publish.name, checked -> 'architecture', new_tokenizer, manifest ->> 'container')
        RETURNING m.id INTO new_model;
    EXCEPTION
        WHEN unique_violation THEN
            RAISE duplicate_object USING MESSAGE = format('model "%s" was published by somebody else meanwhile', name);
    END;

    INSERT INTO llm_store.model_tensor (model_id, ordinal, name, tensor_hash)
    SELECT new_model, s.ordinal, s.name, s.hash FROM llm_store.store_tensors(manifest -> 'tensors') AS s;

    SELECT f.file ->> 'path' AS path, s.segment ->> 'tile' AS hash INTO missing
    FROM jsonb_array_elements(manifest -> 'files') AS f (file)
    CROSS JOIN LATERAL jsonb_array_elements(f.file -> 'segments') AS s (segment)
    WHERE
        s.segment ? 'tile'
        AND NOT EXISTS (SELECT FROM llm_store.tile AS t WHERE t.hash = decode(s.segment ->> 'tile', 'hex'))
    LIMIT 1;
    IF FOUND THEN
        RAISE undefined_object USING
            MESSAGE = format('a tile of file "%s" is not stored', missing.path),
            DETAIL = format('Its hash is %s.', missing.hash),
            HINT = 'Send the tiles that llm.missing_tiles names through llm.upload, then publish again.';
    END IF;
    INSERT INTO llm_store.file_segment (model_id, path, ordinal, tensor_name, tile_hash)
    SELECT
        new_model,
        f.file ->> 'path',
        coalesce(s.ordinality - 1, 0), -- an empty file has one segment, which is neither tensor nor tile
        s.segment ->> 'tensor',
        decode(s.segment ->> 'tile', 'hex')
    FROM jsonb_array_elements(manifest -> 'files') AS f (file)
    LEFT JOIN LATERAL jsonb_array_elements(f.file -> 'segments') WITH ORDINALITY AS s (segment, ordinality) ON TRUE;

    IF make_default OR NOT EXISTS (SELECT FROM llm_store.model AS m WHERE m.is_default) THEN
        BEGIN
            PERFORM llm.set_default_model(name);
        EXCEPTION
            WHEN unique_violation THEN
                NULL; -- another first model was faster
        END;
    END IF;
    PERFORM llm_store.atomise(new_model);
    RETURN new_model;
END
$function$;

ALTER FUNCTION llm.publish(text, jsonb, text, boolean) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.publish(text, jsonb, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.publish(text, jsonb, text, boolean) TO llm_loader;
COMMENT ON FUNCTION llm.publish(text, jsonb, text, boolean) IS
'Makes a model called name of tiles that are stored, and returns its id; all of it is visible when the transaction '
'commits, or nothing. manifest: {"architecture": {...}, "tokenizer_settings": {...}, "container": "gguf" or '
'"huggingface", "tensors": [{"name", "type", "shape", "tiles": [SHA-256 in hexadecimal, ...]}, ...], "files": '
'[{"path", "segments": [{"tensor": name} or {"tile": SHA-256}, ...]}, ...]}; tokenizer: a tokenizer.json document; '
'replace: drop a model of that name first. Everything is checked: the tensors against the architecture, the tiles '
'against the tensors, the tokenizer against the vocabulary. The first model becomes the default.';

COMMIT;
