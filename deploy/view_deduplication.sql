-- Deploy hartonomous:view_deduplication to pg
-- requires: schema_llm_atoms, view_atoms

-- Two ratios that must not be confused: the first says how few different values there are, the second how much storage is saved.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE VIEW llm_atoms.deduplication WITH (security_invoker = TRUE) AS
WITH b AS (
    SELECT
        coalesce(sum(p.bytes * p.number), 0)::bigint AS presented,
        coalesce(sum(p.bytes), 0)::bigint AS stored
    FROM (
        SELECT
            octet_length(t.content) AS bytes,
            sum(u.number) AS number
        FROM (
            SELECT
                tt.tile_hash,
                count(*) AS number
            FROM llm_store.model_tensor AS mt
            INNER JOIN llm_store.tensor_tile AS tt ON mt.tensor_hash = tt.tensor_hash
            GROUP BY tt.tile_hash
            UNION ALL
            SELECT
                f.tile_hash,
                count(*) AS number
            FROM llm_store.file_segment AS f
            WHERE f.tile_hash IS NOT NULL
            GROUP BY f.tile_hash
        ) AS u
        INNER JOIN llm_store.tile AS t ON u.tile_hash = t.hash
        GROUP BY t.hash
    ) AS p
)

SELECT
    r.code_references,
    r.codes,
    r.code_references::double precision / nullif(r.codes, 0) AS references_per_atom,
    b.presented AS bytes_presented,
    b.stored AS bytes_stored,
    b.presented::double precision / nullif(b.stored, 0) AS bytes_presented_per_stored
FROM (
    SELECT
        coalesce(sum(u.number), 0)::bigint AS code_references,
        count(*) AS codes
    FROM (
        SELECT sum(c.number) AS number
        FROM llm_store.model_tensor AS mt
        INNER JOIN llm_store.tensor AS t ON mt.tensor_hash = t.hash
        INNER JOIN llm_store.atom_code_count AS n ON mt.tensor_hash = n.tensor_hash
        CROSS JOIN LATERAL unnest(n.codes, n.counts) AS c (code, number)
        GROUP BY t.type, c.code
    ) AS u
) AS r
CROSS JOIN b;

ALTER VIEW llm_atoms.deduplication OWNER TO llm_owner;
GRANT SELECT ON llm_atoms.deduplication TO llm_user;

COMMENT ON VIEW llm_atoms.deduplication IS
'What storing equal parts once saves, over all models: one row with two ratios.';
COMMENT ON COLUMN llm_atoms.deduplication.code_references IS
'Weights of all models whose encoding has codes that are atoms: F16, BF16, Q8_0, Q4_0, Q4_1, Q4_K, IQ4_NL, MXFP4, '
'IQ4_XS.';
COMMENT ON COLUMN llm_atoms.deduplication.codes IS 'Different codes among them.';
COMMENT ON COLUMN llm_atoms.deduplication.references_per_atom IS
'code_references over codes: how few values weights take. It is not a ratio of storage, because a reference takes as '
'many bits as a code.';
COMMENT ON COLUMN llm_atoms.deduplication.bytes_presented IS
'Bytes of all tiles, counted for each tensor and file that has them.';
COMMENT ON COLUMN llm_atoms.deduplication.bytes_stored IS 'Bytes of the same tiles, counted once.';
COMMENT ON COLUMN llm_atoms.deduplication.bytes_presented_per_stored IS
'bytes_presented over bytes_stored: the ratio of storage, 1 if nothing is shared.';

COMMIT;
