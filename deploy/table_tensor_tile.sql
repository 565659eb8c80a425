-- Deploy hartonomous:table_tensor_tile to pg
-- requires: table_tile, table_tensor

-- The foreign key on tile_hash keeps llm.collect from removing a tile that a tensor needs.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE llm_store.tensor_tile (
    tensor_hash bytea NOT NULL,
    ordinal integer NOT NULL,
    tile_hash bytea NOT NULL,
    CONSTRAINT tensor_tile_pkey PRIMARY KEY (tensor_hash, ordinal),
    CONSTRAINT tensor_tile_tensor_fkey FOREIGN KEY (tensor_hash) REFERENCES llm_store.tensor (hash) ON DELETE CASCADE,
    CONSTRAINT tensor_tile_tile_fkey FOREIGN KEY (tile_hash) REFERENCES llm_store.tile (hash),
    CONSTRAINT tensor_tile_ordinal_range CHECK (ordinal >= 0)
);
CREATE INDEX tensor_tile_tile_hash_idx ON llm_store.tensor_tile (tile_hash);

ALTER TABLE llm_store.tensor_tile OWNER TO llm_owner;
GRANT SELECT ON llm_store.tensor_tile TO llm_user;

COMMENT ON TABLE llm_store.tensor_tile IS 'The tiles of each tensor in order. Immutable like the tensor.';
COMMENT ON COLUMN llm_store.tensor_tile.tensor_hash IS 'The tensor.';
COMMENT ON COLUMN llm_store.tensor_tile.ordinal IS 'The position of the tile in the tensor, from 0.';
COMMENT ON COLUMN llm_store.tensor_tile.tile_hash IS 'The tile; many tensors may share it.';

COMMIT;
