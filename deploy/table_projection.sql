-- Deploy hartonomous:table_projection to pg
-- requires: table_tensor, role_llm_user

-- Keyed by the tensor, which decides all of it: models that share an embedding share the row, and nothing is updated.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE llm_store.projection (
    tensor_hash bytea NOT NULL,
    explained double precision[] NOT NULL,
    units double precision NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT projection_pkey PRIMARY KEY (tensor_hash),
    CONSTRAINT projection_tensor_fkey FOREIGN KEY (tensor_hash) REFERENCES llm_store.tensor (hash) ON DELETE CASCADE,
    CONSTRAINT projection_explained_four CHECK (cardinality(explained) = 4)
);

ALTER TABLE llm_store.projection OWNER TO llm_owner;
GRANT SELECT ON llm_store.projection TO llm_user;

COMMENT ON TABLE llm_store.projection IS
'Token embeddings that have a map: their rows on the first four principal components. llm_atoms.project adds them.';
COMMENT ON COLUMN llm_store.projection.tensor_hash IS 'The token embedding.';
COMMENT ON COLUMN llm_store.projection.explained IS
'The share of the variance along each component, the largest first; together less than 1.';
COMMENT ON COLUMN llm_store.projection.units IS
'Units of the map for a distance of 1 between rows; the same for all axes.';
COMMENT ON COLUMN llm_store.projection.created_at IS 'When it was made.';

COMMIT;
