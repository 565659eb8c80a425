-- Deploy hartonomous:function_verify to pg
-- requires: schema_llm, table_file_segment, function_store_model_hash, function_store_tensor_hash

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.verify(model text)
RETURNS TABLE (tensor text, problem text)
LANGUAGE plpgsql
STABLE
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    m llm_store.model;
BEGIN
    SELECT o.* INTO m FROM llm_store.model AS o WHERE o.name = verify.model;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = coalesce('model "' || model || '" does not exist', 'no model is named'),
            HINT = 'The models of this database are listed in llm.models.';
    END IF;

    RETURN QUERY
    SELECT mt.name, format('tile %s has changed', tt.ordinal)
    FROM llm_store.model_tensor AS mt
    INNER JOIN llm_store.tensor_tile AS tt ON tt.tensor_hash = mt.tensor_hash
    LEFT JOIN llm_store.tile AS t ON t.hash = tt.tile_hash
    WHERE mt.model_id = m.id AND sha256(t.content) IS DISTINCT FROM tt.tile_hash
    ORDER BY mt.ordinal, tt.ordinal;

    RETURN QUERY
    SELECT mt.name, 'its tiles are not those of its hash'
    FROM llm_store.model_tensor AS mt
    LEFT JOIN llm_store.tensor AS t ON t.hash = mt.tensor_hash
    WHERE
        mt.model_id = m.id
        AND (t.hash IS NULL OR t.hash <> llm_store.tensor_hash(t.type, t.shape, ARRAY(
            SELECT tt.tile_hash FROM llm_store.tensor_tile AS tt WHERE tt.tensor_hash = t.hash ORDER BY tt.ordinal
        )))
    ORDER BY mt.ordinal;

    RETURN QUERY
    SELECT NULL, format('segment %s of file "%s" has changed', f.ordinal, f.path)
    FROM llm_store.file_segment AS f
    LEFT JOIN llm_store.tile AS t ON t.hash = f.tile_hash
    WHERE f.model_id = m.id AND f.tile_hash IS NOT NULL AND sha256(t.content) IS DISTINCT FROM f.tile_hash
    ORDER BY f.path, f.ordinal;

    RETURN QUERY
    SELECT NULL, 'the tokenizer is not that of its hash'
    FROM llm_store.tokenizer AS k
    WHERE k.id = m.tokenizer_id AND k.hash <> sha256(convert_to(k.definition || E'\n' || k.settings::text, 'UTF8'));

    IF m.hash <> llm_store.model_hash(m.id) THEN
        RETURN QUERY SELECT NULL, 'the architecture, the tokenizer or the tensors are not those of the model''s hash';
    END IF;
END
$function$;

ALTER FUNCTION llm.verify(text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.verify(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.verify(text) TO llm_user;
COMMENT ON FUNCTION llm.verify(text) IS
E'Computes every hash of the model called model again. Returns a row for each tensor tile, file segment or record '
'that has changed. No rows: all is well.\n'
'tensor is NULL if the problem is not in a tensor.';

COMMIT;
