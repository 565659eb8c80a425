-- Deploy hartonomous:function_compose to pg
-- requires: schema_llm, view_atoms, function_store_atom_code_hash

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.compose(content_hash bytea)
RETURNS TABLE (whole bytea, kind text, ordinal bigint, occurrences bigint, name text)
LANGUAGE sql
STABLE
STRICT
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
ROWS 1000
AS $function$
    -- a byte: the tokens it is in, and where it is first
    SELECT t.content_hash, 'token', min(i) - 1, count(*), min(u.text)
    FROM llm_store.atom AS a
    INNER JOIN llm_store.atom AS t ON t.modality = 'compositional' AND position(a.content IN t.content) > 0
    CROSS JOIN LATERAL (
        SELECT min(k.text) AS text
        FROM llm_store.model AS m
        INNER JOIN llm_store.token AS k ON k.tokenizer_id = m.tokenizer_id
        WHERE k.bytes = t.content
    ) AS u
    CROSS JOIN LATERAL generate_series(1::bigint, octet_length(t.content)) AS i
    WHERE
        a.content_hash = $1 AND a.modality = 'discrete' AND u.text IS NOT NULL
        AND substring(t.content FROM i::integer FOR 1) = a.content
    GROUP BY t.content_hash
    UNION ALL
    -- a byte or token: the tokenizers that have it, and as which token
    SELECT z.hash, 'tokenizer', k.id, 1, NULL
    FROM llm_store.atom AS a
    CROSS JOIN llm_store.tokenizer AS z
    INNER JOIN llm_store.token AS k ON k.tokenizer_id = z.id AND k.bytes = a.content
    WHERE
        a.content_hash = $1 AND a.modality <> 'continuous'
        AND EXISTS (SELECT FROM llm_store.model AS m WHERE m.tokenizer_id = z.id)
    UNION ALL
    -- a weight code: the tensors it is in
    SELECT n.tensor_hash, 'tensor', NULL, c.number, NULL
    FROM llm_store.atom AS a
    INNER JOIN llm_store.tensor AS t
        ON convert_to(t.type, 'UTF8') = substring(a.content FROM 1 FOR position('\x00'::bytea IN a.content) - 1)
    INNER JOIN llm_store.atom_code_count AS n ON n.tensor_hash = t.hash
    CROSS JOIN LATERAL unnest(n.codes, n.counts) AS c (code, number)
    WHERE
        a.content_hash = $1 AND a.modality = 'continuous' AND llm_store.atom_code_hash(t.type, c.code) = $1
        AND EXISTS (SELECT FROM llm_store.model_tensor AS mt WHERE mt.tensor_hash = t.hash)
    UNION ALL
    -- a tile: the tensors and the files it is in
    SELECT u.tensor_hash, 'tensor', u.ordinal, 1, NULL
    FROM llm_store.tensor_tile AS u
    WHERE
        u.tile_hash = $1
        AND EXISTS (SELECT FROM llm_store.model_tensor AS mt WHERE mt.tensor_hash = u.tensor_hash)
    UNION ALL
    SELECT m.hash, 'model', f.ordinal, 1, m.name || '/' || f.path
    FROM llm_store.file_segment AS f
    INNER JOIN llm_store.model AS m ON m.id = f.model_id
    WHERE f.tile_hash = $1
    UNION ALL
    -- a tensor: the layers it is in, or the models where it is in no layer
    SELECT coalesce(l.hash, m.hash), CASE WHEN l.hash IS NULL THEN 'model' ELSE 'layer' END, mt.ordinal, 1,
        m.name || '/' || mt.name
    FROM llm_store.model_tensor AS mt
    INNER JOIN llm_store.model AS m ON m.id = mt.model_id
    LEFT JOIN llm_store.atom_layer AS l ON l.model_id = mt.model_id AND mt.name LIKE 'blk.' || l.layer || '.%'
    WHERE mt.tensor_hash = $1
    UNION ALL
    -- a layer or a tokenizer: the models that have it
    SELECT m.hash, 'model', l.layer, 1, m.name
    FROM llm_store.atom_layer AS l
    INNER JOIN llm_store.model AS m ON m.id = l.model_id
    WHERE l.hash = $1
    UNION ALL
    SELECT m.hash, 'model', 0, 1, m.name
    FROM llm_store.tokenizer AS z
    INNER JOIN llm_store.model AS m ON m.tokenizer_id = z.id
    WHERE z.hash = $1
    ORDER BY 2, 3, 1
$function$;

ALTER FUNCTION llm.compose(bytea) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.compose(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.compose(bytea) TO llm_user;
COMMENT ON FUNCTION llm.compose(bytea) IS
'The wholes that an atom (by its content_hash) is part of, one step up, the other way round than llm.decompose: the tokens '
'of a byte, the tokenizers of a token, the tensors of a weight code or tile, the layers of a tensor, the models of '
'everything else. ordinal is the place of the part in the whole, from 0; a code has none, but how often it occurs.';

COMMIT;
