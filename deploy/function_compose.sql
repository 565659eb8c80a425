-- Deploy hartonomous:function_compose to pg
-- requires: schema_llm_atoms, view_atoms

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_atoms.compose(content_hash bytea)
RETURNS TABLE (whole bytea, kind text, ordinal bigint, occurrences bigint, name text)
LANGUAGE plpgsql
STABLE
STRICT
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
ROWS 1000
AS $function$
DECLARE
    atom llm_store.atom;
    separator integer;
    encoding text;
    code_of_atom integer;
BEGIN
    IF octet_length(content_hash) <> 32 THEN
        RETURN;  -- no hash has another length; each query below would copy a large argument
    END IF;

    SELECT a.* INTO atom FROM llm_store.atom AS a WHERE a.content_hash = compose.content_hash;

    IF atom.modality = 'discrete' THEN
        -- the tokens that the byte is in, and where it is first
        RETURN QUERY
        SELECT sha256(t.bytes), 'token', min(i) - 1, count(*), t.text
        FROM (
            SELECT k.bytes, min(k.text) AS text
            FROM llm_store.model AS m
            INNER JOIN llm_store.token AS k ON k.tokenizer_id = m.tokenizer_id
            WHERE octet_length(k.bytes) > 1 AND position(atom.content IN k.bytes) > 0
            GROUP BY k.bytes
        ) AS t
        CROSS JOIN LATERAL generate_series(1::bigint, octet_length(t.bytes)) AS i
        WHERE substring(t.bytes FROM i::integer FOR 1) = atom.content
        GROUP BY t.bytes, t.text
        ORDER BY t.bytes;
    END IF;

    IF atom.modality IN ('discrete', 'compositional') THEN
        -- the tokenizers that have the byte or token, and as which token
        RETURN QUERY
        SELECT z.hash, 'tokenizer', k.id::bigint, 1::bigint, NULL::text
        FROM llm_store.tokenizer AS z
        INNER JOIN llm_store.token AS k ON k.tokenizer_id = z.id AND k.bytes = atom.content
        WHERE EXISTS (SELECT FROM llm_store.model AS m WHERE m.tokenizer_id = z.id)
        ORDER BY z.hash, k.id;
    ELSIF atom.modality = 'continuous' THEN
        -- the tensors that the weight code is in
        separator := position('\x00'::bytea IN atom.content);
        encoding := convert_from(substring(atom.content FROM 1 FOR separator - 1), 'UTF8');
        code_of_atom := get_byte(atom.content, separator);
        IF octet_length(atom.content) > separator + 1 THEN
            code_of_atom := code_of_atom + 256 * get_byte(atom.content, separator + 1);
        END IF;
        RETURN QUERY
        SELECT t.hash, 'tensor', NULL::bigint, n.counts[array_position(n.codes, code_of_atom)], NULL::text
        FROM llm_store.tensor AS t
        INNER JOIN llm_store.atom_code_count AS n ON n.tensor_hash = t.hash
        WHERE
            t.type = encoding AND code_of_atom = ANY (n.codes)
            AND EXISTS (SELECT FROM llm_store.model_tensor AS mt WHERE mt.tensor_hash = t.hash)
        ORDER BY t.hash;
    END IF;

    -- the tensors and files that the tile is in
    RETURN QUERY
    SELECT u.tensor_hash, 'tensor', u.ordinal::bigint, 1::bigint, NULL::text
    FROM llm_store.tensor_tile AS u
    WHERE
        u.tile_hash = compose.content_hash
        AND EXISTS (SELECT FROM llm_store.model_tensor AS mt WHERE mt.tensor_hash = u.tensor_hash)
    ORDER BY u.tensor_hash, u.ordinal;
    RETURN QUERY
    SELECT m.hash, 'model', f.ordinal::bigint, 1::bigint, m.name || '/' || f.path
    FROM llm_store.file_segment AS f
    INNER JOIN llm_store.model AS m ON m.id = f.model_id
    WHERE f.tile_hash = compose.content_hash
    ORDER BY m.name, f.path, f.ordinal;

    -- the layers that the tensor is in, or the models where it is in no layer
    RETURN QUERY
    SELECT
        coalesce(l.hash, m.hash),
        CASE WHEN l.hash IS NULL THEN 'model' ELSE 'layer' END,
        (mt.ordinal - coalesce(l.ordinal, -1))::bigint,
        1::bigint,
        m.name || '/' || mt.name
    FROM llm_store.model_tensor AS mt
    INNER JOIN llm_store.model AS m ON m.id = mt.model_id
    LEFT JOIN llm_store.atom_layer AS l ON l.model_id = mt.model_id AND mt.name LIKE 'blk.' || l.layer || '.%'
    WHERE mt.tensor_hash = compose.content_hash
    ORDER BY m.name, mt.ordinal;

    -- the models that have the layer or the tokenizer
    RETURN QUERY
    SELECT m.hash, 'model', l.ordinal::bigint + 1, 1::bigint, m.name
    FROM llm_store.atom_layer AS l
    INNER JOIN llm_store.model AS m ON m.id = l.model_id
    WHERE l.hash = compose.content_hash
    ORDER BY m.name, l.ordinal;
    RETURN QUERY
    SELECT m.hash, 'model', 0::bigint, 1::bigint, m.name
    FROM llm_store.tokenizer AS z
    INNER JOIN llm_store.model AS m ON m.tokenizer_id = z.id
    WHERE z.hash = compose.content_hash
    ORDER BY m.name;
END
$function$;

ALTER FUNCTION llm_atoms.compose(bytea) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_atoms.compose(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_atoms.compose(bytea) TO llm_user;
COMMENT ON FUNCTION llm_atoms.compose(bytea) IS
E'The atoms that an atom is part of, one level up: the inverse of llm_atoms.decompose. A byte is part of '
'tokens, a token of '
'tokenizers, a weight code or tile of tensors, a tensor of layers, everything else of models.\n'
'content_hash: of the part, as in llm_atoms.atoms.\n'
'ordinal is the position of the part in the whole, from 0. A weight code has no ordinal; occurrences says how often '
'it occurs.';

COMMIT;
