-- Deploy hartonomous:table_atom to pg
-- requires: schema_llm_store, extension_postgis

-- Atoms that have no row elsewhere: bytes, tokens and weight codes. Tiles, tensors, layers, tokenizers and models have tables of
-- their own, and llm_atoms.atoms shows all of them. A row depends only on its content and is never updated.
-- Partitions follow the 16 squares of the second level of the plane's Hilbert curve: squares 0, 1 and 2, 3 to 5, 6 to 15.
-- The first and third lie where x begins with a byte below that of @, as llm_store.atom_part divides tokens: so two
-- sessions that store one part each never write to one table, and each at the end of its index.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE llm_store.atom (
    h_xy bigint NOT NULL,
    h_yz bigint NOT NULL,
    h_zm bigint NOT NULL,
    geom public.GEOMETRY (POINTZM, 3857) NOT NULL,
    modality text NOT NULL,
    content_hash bytea NOT NULL,
    content bytea NOT NULL,
    CONSTRAINT atom_pkey PRIMARY KEY (h_xy, content_hash),
    CONSTRAINT atom_content_hash_size CHECK (octet_length(content_hash) = 32),
    CONSTRAINT atom_modality_known CHECK (modality IN ('discrete', 'compositional', 'continuous'))
) PARTITION BY RANGE (h_xy);

CREATE TABLE llm_store.atom_0 PARTITION OF llm_store.atom
FOR VALUES FROM (0) TO (288230376151711744);
CREATE TABLE llm_store.atom_1 PARTITION OF llm_store.atom
FOR VALUES FROM (288230376151711744) TO (864691128455135232);
CREATE TABLE llm_store.atom_2 PARTITION OF llm_store.atom
FOR VALUES FROM (864691128455135232) TO (1729382256910270464);
CREATE TABLE llm_store.atom_3 PARTITION OF llm_store.atom
FOR VALUES FROM (1729382256910270464) TO (4611686018427387904);

-- A hash index takes 0.2 s for a vocabulary of 151,665 tokens, a B-tree 0.45 s.
CREATE INDEX atom_content_hash_idx ON llm_store.atom USING hash (content_hash);
-- There is no index of points. Bytes and tokens are searched in runs (llm_store.atom_run), because an index entry for each would
-- cost as much as everything else. Weight codes lie on lines, which llm_store.nearby_codes searches by counting.

ALTER TABLE llm_store.atom OWNER TO llm_owner;
ALTER TABLE llm_store.atom_0 OWNER TO llm_owner;
ALTER TABLE llm_store.atom_1 OWNER TO llm_owner;
ALTER TABLE llm_store.atom_2 OWNER TO llm_owner;
ALTER TABLE llm_store.atom_3 OWNER TO llm_owner;
GRANT SELECT ON llm_store.atom TO llm_user;

COMMENT ON TABLE llm_store.atom IS
'Bytes, tokens and weight codes by content. Only llm_store.atomise writes it; llm.collect removes atoms that no '
'model uses.';
COMMENT ON COLUMN llm_store.atom.h_xy IS
'The key of (x, y) on the plane''s Hilbert curve: close keys are close points.';
COMMENT ON COLUMN llm_store.atom.h_yz IS 'The key of (y, z).';
COMMENT ON COLUMN llm_store.atom.h_zm IS 'The key of (z, m).';
COMMENT ON COLUMN llm_store.atom.geom IS 'The point. docs/atoms.md says what x, y, z and m mean.';
COMMENT ON COLUMN llm_store.atom.modality IS
'discrete (a byte), compositional (a token of two bytes or more) or continuous (a weight code).';
COMMENT ON COLUMN llm_store.atom.content_hash IS 'The SHA-256 of the content.';
COMMENT ON COLUMN llm_store.atom.content IS
'The bytes. For a weight code: the encoding''s name, a zero byte and the code little-endian.';
COMMENT ON TABLE llm_store.atom_0 IS 'Atoms of square 0 of 16 along the curve.';
COMMENT ON TABLE llm_store.atom_1 IS 'Atoms of squares 1 and 2 of 16 along the curve.';
COMMENT ON TABLE llm_store.atom_2 IS 'Atoms of squares 3 to 5 of 16 along the curve.';
COMMENT ON TABLE llm_store.atom_3 IS 'Atoms of squares 6 to 15 of 16 along the curve.';

COMMIT;
