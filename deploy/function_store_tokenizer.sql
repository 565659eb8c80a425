-- Deploy hartonomous:function_store_tokenizer to pg
-- requires: table_token, function_store_vocabulary

-- SECURITY DEFINER: models of different owners share tokenizers, so they are written only after this check.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.store_tokenizer(definition text, settings jsonb)
RETURNS integer
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    content_hash CONSTANT bytea := sha256(convert_to(definition || E'\n' || settings::text, 'UTF8'));
    found integer;
BEGIN
    LOOP
        -- The lock keeps llm.collect away until the model that needs it is there.
        SELECT k.id INTO found FROM llm_store.tokenizer AS k WHERE k.hash = content_hash FOR KEY SHARE;
        IF found IS NOT NULL THEN
            RETURN found;
        END IF;
        INSERT INTO llm_store.tokenizer (hash, definition, settings)
        VALUES (content_hash, store_tokenizer.definition, store_tokenizer.settings)
        ON CONFLICT DO NOTHING
        RETURNING id INTO found;
        EXIT WHEN found IS NOT NULL;
    END LOOP;
    INSERT INTO llm_store.token (tokenizer_id, id, bytes, text, kind)
    SELECT found, u.ordinality - 1, u.bytes, u.text, u.kind
    FROM
        llm_store.vocabulary(definition, settings) AS v,
        unnest(v.bytes, v.texts, v.kinds) WITH ORDINALITY AS u (bytes, text, kind, ordinality);
    RETURN found;
END
$function$;

ALTER FUNCTION llm_store.store_tokenizer(text, jsonb) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.store_tokenizer(text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.store_tokenizer(text, jsonb) TO llm_loader;
COMMENT ON FUNCTION llm_store.store_tokenizer(text, jsonb) IS
'The id of the tokenizer with this definition (a tokenizer.json document) and these settings. A new one is stored '
'with its vocabulary.';

COMMIT;
