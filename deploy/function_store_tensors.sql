-- Deploy hartonomous:function_store_tensors to pg
-- requires: table_tensor_tile, function_store_tensor_layout, function_store_tensor_hash, function_store_check_weights

-- SECURITY DEFINER: models of different owners share tensors, so they are written only after these checks.
-- In the order of hashes, so that two loads that share tensors cannot deadlock.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.store_tensors(tensors jsonb)
RETURNS TABLE (ordinal integer, name text, hash bytea)
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    tensor record;
    problem record;
    is_new boolean;
BEGIN
    FOR tensor IN
        SELECT l.*, llm_store.tensor_hash(l.type, l.shape, l.tiles) AS tensor_hash
        FROM llm_store.tensor_layout(tensors) AS l
        ORDER BY tensor_hash
    LOOP
        -- The lock keeps llm.collect away from these tiles until the tensor that needs them is there.
        PERFORM FROM llm_store.tile AS t WHERE t.hash = ANY (tensor.tiles) FOR KEY SHARE;
        SELECT u.ordinality - 1 AS number, u.hash, u.bytes AS expected, octet_length(t.content) AS actual INTO problem
        FROM unnest(tensor.tiles, tensor.tile_bytes) WITH ORDINALITY AS u (hash, bytes, ordinality)
        LEFT JOIN llm_store.tile AS t ON t.hash = u.hash
        WHERE t.hash IS NULL OR octet_length(t.content) <> u.bytes
        ORDER BY u.ordinality
        LIMIT 1;
        IF FOUND AND problem.actual IS NULL THEN
            RAISE undefined_object USING
                MESSAGE = format('tile %s of tensor "%s" is not stored', problem.number, tensor.name),
                DETAIL = format('Its hash is %s.', encode(problem.hash, 'hex')),
                HINT = 'Send the tiles that llm_store.missing_tiles names through llm_store.upload, then publish again.';
        ELSIF FOUND THEN
            RAISE invalid_parameter_value USING
                MESSAGE = format('tile %s of tensor "%s" has the wrong size', problem.number, tensor.name),
                DETAIL = format('It has %s bytes, expected %s.', problem.actual, problem.expected);
        END IF;

        LOOP
            INSERT INTO llm_store.tensor AS t (hash, type, shape, rows_per_tile, bytes)
            VALUES (tensor.tensor_hash, tensor.type, tensor.shape, tensor.rows_per_tile, tensor.bytes)
            ON CONFLICT DO NOTHING;
            is_new := FOUND;
            IF is_new THEN
                INSERT INTO llm_store.tensor_tile (tensor_hash, ordinal, tile_hash)
                SELECT tensor.tensor_hash, u.ordinality - 1, u.hash
                FROM unnest(tensor.tiles) WITH ORDINALITY AS u (hash, ordinality);
                EXIT;
            END IF;
            -- It was there already. If llm.collect is removing it, the lock waits for that, and it is stored again.
            PERFORM FROM llm_store.tensor AS t WHERE t.hash = tensor.tensor_hash FOR KEY SHARE;
            EXIT WHEN FOUND;
        END LOOP;
        PERFORM llm_store.check_weights(tensor.tensor_hash, tensor.name, is_new);

        ordinal := tensor.ordinal;
        name := tensor.name;
        hash := tensor.tensor_hash;
        RETURN NEXT;
    END LOOP;
END
$function$;

ALTER FUNCTION llm_store.store_tensors(jsonb) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.store_tensors(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.store_tensors(jsonb) TO llm_loader;
COMMENT ON FUNCTION llm_store.store_tensors(jsonb) IS
'Stores the new tensors of a manifest (see llm_store.publish), after checking that their tiles are stored and have the '
'right sizes. Returns the hash of each. Infinity or NaN is an error (22023). For types whose codes are counted, '
'llm_store.atomise_tensors must follow, which finds them.';

COMMIT;
