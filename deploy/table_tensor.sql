-- Deploy hartonomous:table_tensor to pg
-- requires: schema_llm_store, role_llm_loader

-- Immutable, and written only by llm_store.store_tensors: models of different owners share these rows.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE llm_store.tensor (
    hash bytea NOT NULL,
    type text NOT NULL,
    shape bigint[] NOT NULL,
    rows_per_tile integer NOT NULL,
    bytes bigint NOT NULL,
    CONSTRAINT tensor_pkey PRIMARY KEY (hash),
    CONSTRAINT tensor_hash_size CHECK (octet_length(hash) = 32),
    CONSTRAINT tensor_shape_dimensions CHECK (cardinality(shape) BETWEEN 1 AND 4),
    CONSTRAINT tensor_rows_per_tile_range CHECK (rows_per_tile >= 0),
    CONSTRAINT tensor_bytes_positive CHECK (bytes > 0)
);

ALTER TABLE llm_store.tensor OWNER TO llm_owner;
GRANT SELECT ON llm_store.tensor TO llm_user;

COMMENT ON TABLE llm_store.tensor IS
'Tensors by content: equal tensors of different models are one row.';
COMMENT ON COLUMN llm_store.tensor.hash IS
'SHA-256 of the line "type dimensions" (dimensions comma-separated, and a newline) in UTF-8 and the hashes of the '
'tiles.';
COMMENT ON COLUMN llm_store.tensor.type IS 'The encoding''s GGUF name: F32, F16, BF16, Q8_0, ...';
COMMENT ON COLUMN llm_store.tensor.shape IS 'Dimensions in numpy''s order: {rows, columns}; a vector has one.';
COMMENT ON COLUMN llm_store.tensor.rows_per_tile IS
'Whole rows in each tile but the last. 0: a row is longer than 1 MiB and spans tiles of 1 MiB, of which the last is '
'shorter.';
COMMENT ON COLUMN llm_store.tensor.bytes IS 'Bytes of all tiles together.';

COMMIT;
