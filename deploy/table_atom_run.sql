-- Deploy hartonomous:table_atom_run to pg
-- requires: table_tokenizer, extension_postgis

-- PostGIS's <<->> from a point to a run is at most that to each of its points: it takes the distance in x, y and z to the
-- nearest, and in m to the run's extent.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE llm_store.atom_run (
    tokenizer_id integer NOT NULL,
    part integer NOT NULL,
    number integer NOT NULL,
    content bytea NOT NULL,
    starts integer[] NOT NULL,
    geom public.GEOMETRY (MULTIPOINTZM, 3857) NOT NULL,
    CONSTRAINT atom_run_pkey PRIMARY KEY (tokenizer_id, part, number),
    CONSTRAINT atom_run_tokenizer_fkey FOREIGN KEY (tokenizer_id)
    REFERENCES llm_store.tokenizer (id) ON DELETE CASCADE,
    CONSTRAINT atom_run_points CHECK (cardinality(starts) = public.st_numgeometries(geom))
);
CREATE INDEX atom_run_geom_idx ON llm_store.atom_run USING gist (geom public.gist_geometry_ops_nd);

ALTER TABLE llm_store.atom_run OWNER TO llm_owner;
GRANT SELECT ON llm_store.atom_run TO llm_user;

COMMENT ON TABLE llm_store.atom_run IS
'The bytes and tokens of each tokenizer in runs of up to 32 along the four-dimensional Hilbert curve, so that an '
'index finds those near a point. Immutable like the tokenizer.';
COMMENT ON COLUMN llm_store.atom_run.tokenizer_id IS 'The tokenizer.';
COMMENT ON COLUMN llm_store.atom_run.part IS 'That of llm_store.atom_part; 2: the bytes.';
COMMENT ON COLUMN llm_store.atom_run.number IS 'The position along the curve, from 1.';
COMMENT ON COLUMN llm_store.atom_run.content IS 'The bytes of all its tokens, joined.';
COMMENT ON COLUMN llm_store.atom_run.starts IS 'Where each token begins in content, from 1.';
COMMENT ON COLUMN llm_store.atom_run.geom IS 'Their points, in the same order.';

COMMIT;
