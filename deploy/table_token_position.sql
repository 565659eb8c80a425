-- Deploy hartonomous:table_token_position to pg
-- requires: table_projection, extension_postgis

-- SRID and domain are those of atoms (docs/adr/0004-atoms.md): map programs open them, and no coordinate is exact in the
-- single precision that the index rounds to, which would end a search for neighbours with an error.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE llm_store.token_position (
    tensor_hash bytea NOT NULL,
    token_id integer NOT NULL,
    h_xy bigint NOT NULL,
    h_yz bigint NOT NULL,
    h_zm bigint NOT NULL,
    geom public.GEOMETRY (POINTZM, 3857) NOT NULL,
    CONSTRAINT token_position_pkey PRIMARY KEY (tensor_hash, token_id),
    CONSTRAINT token_position_projection_fkey FOREIGN KEY (tensor_hash)
    REFERENCES llm_store.projection (tensor_hash) ON DELETE CASCADE
);
CREATE INDEX token_position_geom_idx ON llm_store.token_position USING gist (geom public.gist_geometry_ops_nd);

ALTER TABLE llm_store.token_position OWNER TO llm_owner;
GRANT SELECT ON llm_store.token_position TO llm_user;

COMMENT ON TABLE llm_store.token_position IS
'The position of each token of an embedding on its map. Immutable like the embedding.';
COMMENT ON COLUMN llm_store.token_position.tensor_hash IS 'The token embedding.';
COMMENT ON COLUMN llm_store.token_position.token_id IS 'The token: the row of the embedding, from 0.';
COMMENT ON COLUMN llm_store.token_position.h_xy IS
'The key of (x, y) on the plane''s Hilbert curve, of 31 bits an axis.';
COMMENT ON COLUMN llm_store.token_position.h_yz IS 'The key of (y, z).';
COMMENT ON COLUMN llm_store.token_position.h_zm IS 'The key of (z, m).';
COMMENT ON COLUMN llm_store.token_position.geom IS
'x, y, z and m: the first to the fourth principal component, times units, from the middle of the map.';

COMMIT;
