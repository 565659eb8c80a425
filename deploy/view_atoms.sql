-- Deploy hartonomous:view_atoms to pg
-- requires: schema_llm_atoms, table_atom, table_atom_code_count, table_atom_byte_count, table_file_segment, function_hilbert_keys, function_store_atom_center, function_store_atom_code, function_store_is_atom_used, view_atom_layer

-- security_invoker: the reader's own rights decide which models count.
-- An atom that no model uses is not shown. Counts are added up as they are read: no load writes to a shared row.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE VIEW llm_atoms.atoms WITH (security_invoker = TRUE) AS
-- Bytes: how often they are in the tokens of the models' vocabularies.
SELECT
    a.h_xy,
    a.h_yz,
    a.h_zm,
    a.geom,
    'discrete' AS modality,
    a.content_hash,
    u.ref_count,
    jsonb_build_object('kind', 'byte', 'byte', get_byte(a.content, 0)) AS meta
FROM llm_store.atom AS a
CROSS JOIN LATERAL (
    SELECT sum(c.counts[get_byte(a.content, 0) + 1])::bigint AS ref_count
    FROM llm_store.atom_byte_count AS c
    INNER JOIN llm_store.model AS m ON c.tokenizer_id = m.tokenizer_id
) AS u
WHERE a.modality = 'discrete' AND u.ref_count > 0
UNION ALL
-- Tokens of two bytes or more: how many entries of the models' vocabularies they are. OFFSET 0: model by model, by index.
-- Where nothing was analysed yet, right after a load, a join of both would read a whole vocabulary for each token.
SELECT
    a.h_xy,
    a.h_yz,
    a.h_zm,
    a.geom,
    'compositional' AS modality,
    a.content_hash,
    u.ref_count,
    jsonb_build_object('kind', 'token', 'text', u.text, 'bytes', octet_length(a.content)) AS meta
FROM llm_store.atom AS a
CROSS JOIN LATERAL ( -- noqa: ST05
    SELECT
        count(*) AS ref_count,
        min(t.text) AS text
    FROM llm_store.model AS m
    CROSS JOIN LATERAL ( -- noqa: ST05
        SELECT k.text
        FROM llm_store.token AS k
        WHERE k.tokenizer_id = m.tokenizer_id AND k.bytes = a.content
        OFFSET 0 -- noqa: AM09
    ) AS t
) AS u
WHERE a.modality = 'compositional' AND u.ref_count > 0
UNION ALL
-- Weight codes: how many weights of the models' tensors have them. One code is looked up by index; for all of them the
-- counts of 256 codes of an encoding are added up once and remembered (Memoize, for which LIMIT makes columns).
SELECT
    a.h_xy,
    a.h_yz,
    a.h_zm,
    a.geom,
    'continuous' AS modality,
    a.content_hash,
    u.ref_count,
    jsonb_build_object('kind', 'code', 'type', k.type, 'code', k.code) AS meta
FROM llm_store.atom AS a
CROSS JOIN LATERAL llm_store.atom_code(a.content) AS k
CROSS JOIN LATERAL (SELECT k.code >> 8 AS number LIMIT 1) AS p -- noqa: AM09,ST05
CROSS JOIN LATERAL ( -- noqa: ST05
    SELECT
        array_agg(s.code ORDER BY s.code) AS codes,
        array_agg(s.number ORDER BY s.code) AS numbers
    FROM (
        SELECT
            c.code,
            sum(c.number)::bigint AS number
        FROM llm_store.model_tensor AS mt
        INNER JOIN llm_store.tensor AS t ON mt.tensor_hash = t.hash
        INNER JOIN llm_store.atom_code_count AS n ON mt.tensor_hash = n.tensor_hash
        CROSS JOIN LATERAL unnest(
            n.codes[width_bucket(p.number * 256 - 1, n.codes) + 1:width_bucket(p.number * 256 + 255, n.codes)],
            n.counts[width_bucket(p.number * 256 - 1, n.codes) + 1:width_bucket(p.number * 256 + 255, n.codes)]
        ) AS c (code, number)
        WHERE t.type = k.type
        GROUP BY c.code
    ) AS s
) AS g
CROSS JOIN LATERAL (SELECT g.numbers[array_position(g.codes, k.code)] AS ref_count LIMIT 1) AS u -- noqa: AM09,ST05
WHERE a.modality = 'continuous' AND u.ref_count > 0
UNION ALL
-- Tiles: how often the models' tensors and files have them. A tile that spells a token is that token.
SELECT
    k.h_xy,
    k.h_yz,
    k.h_zm,
    p.geom,
    'continuous' AS modality,
    t.hash AS content_hash,
    u.number + s.number AS ref_count,
    jsonb_build_object('kind', 'tile', 'bytes', octet_length(t.content)) AS meta
FROM llm_store.tile AS t
CROSS JOIN LATERAL (
    SELECT count(*) AS number
    FROM llm_store.tensor_tile AS tt
    INNER JOIN llm_store.model_tensor AS mt ON tt.tensor_hash = mt.tensor_hash
    WHERE tt.tile_hash = t.hash
) AS u
CROSS JOIN LATERAL (SELECT count(*) AS number FROM llm_store.file_segment AS f WHERE f.tile_hash = t.hash) AS s
CROSS JOIN LATERAL llm_atoms.atom_point(t.content) AS p (geom)
CROSS JOIN LATERAL llm_atoms.hilbert_keys(p.geom) AS k
WHERE
    u.number + s.number > 0
    -- by index, tile by tile: to ask it for all atoms takes seconds
    AND NOT coalesce((
        SELECT bool_or(llm_store.is_atom_used(a.modality, a.content))
        FROM llm_store.atom AS a
        WHERE a.content_hash = t.hash
    ), FALSE)
UNION ALL
-- Tensors, layers, tokenizers and models: how many models have them.
SELECT
    k.h_xy,
    k.h_yz,
    k.h_zm,
    r.geom,
    'relational' AS modality,
    r.hash,
    r.ref_count,
    r.meta
FROM (
    SELECT
        t.hash,
        count(*) AS ref_count,
        llm_store.atom_center(ARRAY[t.hash]) AS geom,
        jsonb_build_object('kind', 'tensor', 'name', min(mt.name), 'type', t.type, 'shape', t.shape) AS meta
    FROM llm_store.tensor AS t
    INNER JOIN llm_store.model_tensor AS mt ON t.hash = mt.tensor_hash
    GROUP BY t.hash
    UNION ALL
    SELECT
        l.hash,
        count(DISTINCT l.model_id || '/' || l.layer) AS ref_count,
        llm_store.atom_center(array_agg(mt.tensor_hash)
            FILTER (WHERE l.model_id = l.first_model AND l.layer = l.first_layer)) AS geom,
        jsonb_build_object('kind', 'layer', 'layer', min(l.layer), 'tensors', min(l.tensors)) AS meta
    FROM (
        SELECT
            y.*,
            first_value(y.model_id) OVER w AS first_model,
            first_value(y.layer) OVER w AS first_layer
        FROM llm_store.atom_layer AS y
        WINDOW w AS (PARTITION BY y.hash ORDER BY y.model_id, y.layer)
    ) AS l
    INNER JOIN llm_store.model_tensor AS mt
        ON l.model_id = mt.model_id AND mt.name LIKE 'blk.' || l.layer || '.%'
    GROUP BY l.hash
    UNION ALL
    SELECT
        z.hash,
        count(*) AS ref_count,
        min(c.geom::text)::public.geometry AS geom,
        jsonb_build_object('kind', 'tokenizer') AS meta
    FROM llm_store.tokenizer AS z
    INNER JOIN llm_store.atom_byte_count AS c ON z.id = c.tokenizer_id
    INNER JOIN llm_store.model AS m ON z.id = m.tokenizer_id
    GROUP BY z.hash
    UNION ALL
    SELECT
        m.hash,
        count(*) AS ref_count,
        llm_store.atom_center(ARRAY(
            SELECT mt.tensor_hash FROM llm_store.model_tensor AS mt WHERE mt.model_id = min(m.id)
        )) AS geom,
        jsonb_build_object('kind', 'model', 'names', jsonb_agg(m.name ORDER BY m.name)) AS meta
    FROM llm_store.model AS m
    GROUP BY m.hash
) AS r
CROSS JOIN LATERAL llm_atoms.hilbert_keys(r.geom) AS k;

ALTER VIEW llm_atoms.atoms OWNER TO llm_owner;
GRANT SELECT ON llm_atoms.atoms TO llm_user;

COMMENT ON VIEW llm_atoms.atoms IS
'The parts of all models, each part once: bytes, tokens, weight codes, tiles, tensors, layers, tokenizers and '
'models. See docs/atoms.md.';
COMMENT ON COLUMN llm_atoms.atoms.h_xy IS 'The key of (x, y) on the plane''s Hilbert curve, from 0 to 2^62 - 1.';
COMMENT ON COLUMN llm_atoms.atoms.h_yz IS 'The key of (y, z).';
COMMENT ON COLUMN llm_atoms.atoms.h_zm IS 'The key of (z, m).';
COMMENT ON COLUMN llm_atoms.atoms.geom IS
'A POINT ZM that depends only on the content; SRID 3857, so that map programs draw it.';
COMMENT ON COLUMN llm_atoms.atoms.modality IS
'discrete (bytes), compositional (tokens), continuous (weight codes, tiles) or relational (tensors, layers, '
'tokenizers, models).';
COMMENT ON COLUMN llm_atoms.atoms.content_hash IS 'The SHA-256 of the content.';
COMMENT ON COLUMN llm_atoms.atoms.ref_count IS
'How often the models use it: bytes in tokens, tokens in vocabularies, codes in tensors, tiles in tensors and files, '
'the others in models. A tensor of two models counts twice.';
COMMENT ON COLUMN llm_atoms.atoms.meta IS 'The kind of atom, and its name or size.';

COMMIT;
