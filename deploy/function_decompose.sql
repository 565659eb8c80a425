-- Deploy hartonomous:function_decompose to pg
-- requires: schema_llm_atoms, view_atoms, function_store_is_atom_used

-- Atoms that no model has are not shown: they belong to a load that has not published yet, or llm.collect will remove them.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_atoms.decompose(content_hash bytea)
RETURNS TABLE (part bytea, kind text, ordinal bigint, occurrences bigint, name text)
LANGUAGE plpgsql
STABLE
STRICT
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
ROWS 1000
AS $function$
DECLARE
    model integer;
    block llm_store.atom_layer;
BEGIN
    IF octet_length(content_hash) <> 32 THEN
        RETURN;  -- no hash has another length; each query below would copy a large argument
    END IF;

    -- a token: its bytes in order
    RETURN QUERY
    SELECT sha256(substring(a.content FROM i + 1 FOR 1)), 'byte', i::bigint, 1::bigint, NULL::text
    FROM llm_store.atom AS a
    CROSS JOIN LATERAL generate_series(0, octet_length(a.content) - 1) AS i
    WHERE
        a.content_hash = decompose.content_hash
        AND a.modality = 'compositional'
        AND llm_store.is_atom_used(a.modality, a.content)
    ORDER BY i;

    -- a tensor: its tiles in order, and the weight codes in them
    RETURN QUERY
    SELECT u.tile_hash, 'tile', u.ordinal::bigint, 1::bigint, NULL::text
    FROM llm_store.tensor_tile AS u
    WHERE
        u.tensor_hash = decompose.content_hash
        AND EXISTS (SELECT FROM llm_store.model_tensor AS mt WHERE mt.tensor_hash = decompose.content_hash)
    ORDER BY u.ordinal;
    RETURN QUERY
    SELECT llm_store.atom_code_hash(t.type, c.code), 'code', NULL::bigint, c.number, t.type || ' ' || c.code
    FROM llm_store.atom_code_count AS n
    INNER JOIN llm_store.tensor AS t ON t.hash = n.tensor_hash
    CROSS JOIN LATERAL unnest(n.codes, n.counts) AS c (code, number)
    WHERE
        n.tensor_hash = decompose.content_hash
        AND EXISTS (SELECT FROM llm_store.model_tensor AS mt WHERE mt.tensor_hash = decompose.content_hash)
    ORDER BY c.code;

    -- a tokenizer: its tokens by id
    RETURN QUERY
    SELECT
        sha256(t.bytes),
        CASE octet_length(t.bytes) WHEN 1 THEN 'byte' ELSE 'token' END,
        t.id::bigint,
        1::bigint,
        t.text
    FROM llm_store.tokenizer AS z
    INNER JOIN llm_store.token AS t ON t.tokenizer_id = z.id
    WHERE
        z.hash = decompose.content_hash
        AND t.bytes <> ''
        AND EXISTS (SELECT FROM llm_store.model AS m WHERE m.tokenizer_id = z.id)
    ORDER BY t.id;

    -- a layer: its tensors
    SELECT l.* INTO block
    FROM llm_store.atom_layer AS l
    WHERE l.hash = decompose.content_hash
    ORDER BY l.model_id, l.layer
    LIMIT 1;
    RETURN QUERY
    SELECT mt.tensor_hash, 'tensor', (mt.ordinal - block.ordinal)::bigint, 1::bigint, split_part(mt.name, '.', 3)
    FROM llm_store.model_tensor AS mt
    WHERE mt.model_id = block.model_id AND mt.name LIKE 'blk.' || block.layer || '.%'
    ORDER BY mt.ordinal;

    -- a model: its tokenizer, its layers, and the tensors outside of layers
    model := (SELECT min(m.id) FROM llm_store.model AS m WHERE m.hash = decompose.content_hash);
    RETURN QUERY
    SELECT z.hash, 'tokenizer', 0::bigint, 1::bigint, NULL::text
    FROM llm_store.model AS m
    INNER JOIN llm_store.tokenizer AS z ON z.id = m.tokenizer_id
    WHERE m.id = model;
    RETURN QUERY
    SELECT p.hash, p.kind, p.place, 1::bigint, p.name
    FROM (
        SELECT l.hash, 'layer' AS kind, l.ordinal::bigint + 1 AS place, 'blk.' || l.layer AS name
        FROM llm_store.atom_layer AS l
        WHERE l.model_id = model
        UNION ALL
        SELECT mt.tensor_hash, 'tensor', mt.ordinal::bigint + 1, mt.name
        FROM llm_store.model_tensor AS mt
        WHERE mt.model_id = model AND mt.name !~ '^blk\.(0|[1-9][0-9]{0,5})\.'
    ) AS p
    ORDER BY p.place;
END
$function$;

ALTER FUNCTION llm_atoms.decompose(bytea) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_atoms.decompose(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_atoms.decompose(bytea) TO llm_user;
COMMENT ON FUNCTION llm_atoms.decompose(bytea) IS
E'The parts of an atom, one level down: of a model its tokenizer, layers and other tensors; of a layer its tensors; '
'of a tensor its tiles and weight codes; of a tokenizer its tokens; of a token its bytes.\n'
'content_hash: of the whole, as in llm_atoms.atoms.\n'
'ordinal is the position of the part, from 0. A weight code has no ordinal; occurrences says how often it occurs.\n'
'Returns no rows for bytes, codes and tiles, which have no parts, and for unknown atoms.';

COMMIT;
