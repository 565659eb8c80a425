-- Deploy hartonomous:function_decompose to pg
-- requires: schema_llm, view_atoms

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.decompose(content_hash bytea)
RETURNS TABLE (part bytea, kind text, ordinal bigint, occurrences bigint, name text)
LANGUAGE sql
STABLE
STRICT
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
ROWS 1000
AS $function$
    -- a model: its tokenizer, its layers and the tensors outside of layers
    SELECT z.hash, 'tokenizer', 0::bigint, 1::bigint, NULL::text
    FROM llm_store.tokenizer AS z
    WHERE z.id IN (SELECT m.tokenizer_id FROM llm_store.model AS m WHERE m.hash = $1)
    UNION ALL
    SELECT l.hash, 'layer', l.ordinal + 1, 1, 'blk.' || l.layer
    FROM llm_store.atom_layer AS l
    WHERE l.model_id = (SELECT min(m.id) FROM llm_store.model AS m WHERE m.hash = $1)
    UNION ALL
    SELECT mt.tensor_hash, 'tensor', mt.ordinal + 1, 1, mt.name
    FROM llm_store.model_tensor AS mt
    WHERE
        mt.model_id = (SELECT min(m.id) FROM llm_store.model AS m WHERE m.hash = $1)
        AND mt.name !~ '^blk\.[0-9]{1,6}\.'
    UNION ALL
    -- a layer: its tensors
    SELECT mt.tensor_hash, 'tensor', mt.ordinal - l.ordinal, 1, split_part(mt.name, '.', 3)
    FROM (SELECT y.* FROM llm_store.atom_layer AS y WHERE y.hash = $1 ORDER BY y.model_id, y.layer LIMIT 1) AS l
    INNER JOIN llm_store.model_tensor AS mt ON mt.model_id = l.model_id AND mt.name LIKE 'blk.' || l.layer || '.%'
    UNION ALL
    -- a tensor: its tiles in order, and the weight codes in them
    SELECT u.tile_hash, 'tile', u.ordinal, 1, NULL
    FROM llm_store.tensor_tile AS u
    WHERE u.tensor_hash = $1
    UNION ALL
    SELECT
        llm_store.atom_code_hash(t.type, c.code), 'code', NULL, c.number, t.type || ' ' || c.code
    FROM llm_store.atom_code_count AS n
    INNER JOIN llm_store.tensor AS t ON t.hash = n.tensor_hash
    CROSS JOIN LATERAL unnest(n.codes, n.counts) AS c (code, number)
    WHERE n.tensor_hash = $1
    UNION ALL
    -- a tokenizer: its tokens by id
    SELECT sha256(t.bytes), CASE octet_length(t.bytes) WHEN 1 THEN 'byte' ELSE 'token' END, t.id, 1, t.text
    FROM llm_store.tokenizer AS z
    INNER JOIN llm_store.token AS t ON t.tokenizer_id = z.id
    WHERE z.hash = $1 AND t.bytes <> ''
    UNION ALL
    -- a token: its bytes in order
    SELECT sha256(substring(a.content FROM i + 1 FOR 1)), 'byte', i, 1, NULL
    FROM llm_store.atom AS a
    CROSS JOIN LATERAL generate_series(0, octet_length(a.content) - 1) AS i
    WHERE a.content_hash = $1 AND a.modality = 'compositional'
    ORDER BY 3, 5
$function$;

ALTER FUNCTION llm.decompose(bytea) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.decompose(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.decompose(bytea) TO llm_user;
COMMENT ON FUNCTION llm.decompose(bytea) IS
'The parts that an atom (by its content_hash) is made of, one step down: a model''s tokenizer, layers and other tensors, a '
'layer''s tensors, a tensor''s tiles and weight codes, a tokenizer''s tokens, a token''s bytes. ordinal is the place of '
'the part, from 0; a code has none, but how often it occurs. No row: bytes, codes and tiles are whole, or there is no such '
'atom.';

COMMIT;
