-- Deploy hartonomous:view_store_file_pieces to pg
-- requires: schema_llm_store, table_file_segment, table_tensor_tile

-- security_invoker: the reader sees only models that its own rights allow.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE VIEW llm_store.file_pieces WITH (security_invoker = TRUE) AS
SELECT
    m.name AS model,
    f.path,
    f.ordinal AS segment,
    coalesce(tt.ordinal, 0) AS piece,
    f.tensor_name AS tensor,
    coalesce(f.tile_hash, tt.tile_hash) AS hash,
    t.content
FROM llm_store.model AS m
INNER JOIN llm_store.file_segment AS f ON m.id = f.model_id
LEFT JOIN llm_store.model_tensor AS mt ON f.model_id = mt.model_id AND f.tensor_name = mt.name
LEFT JOIN llm_store.tensor_tile AS tt ON mt.tensor_hash = tt.tensor_hash
LEFT JOIN llm_store.tile AS t ON t.hash = coalesce(f.tile_hash, tt.tile_hash);

ALTER VIEW llm_store.file_pieces OWNER TO llm_owner;
GRANT SELECT ON llm_store.file_pieces TO llm_user;

COMMENT ON VIEW llm_store.file_pieces IS
'The loaded files of each model, byte for byte, in pieces of at most 1 MiB, as `hartonomous export` reads them. A '
'file is the concatenation of content ORDER BY segment, piece. After an edit it contains the edited tensors.';
COMMENT ON COLUMN llm_store.file_pieces.model IS 'The model''s name.';
COMMENT ON COLUMN llm_store.file_pieces.path IS 'The file''s path below the folder that was loaded, or its name.';
COMMENT ON COLUMN llm_store.file_pieces.segment IS 'The position of the segment in the file, from 0.';
COMMENT ON COLUMN llm_store.file_pieces.piece IS 'The position of the piece in the segment, from 0.';
COMMENT ON COLUMN llm_store.file_pieces.tensor IS
'The tensor that the segment is. NULL: literal bytes, such as a header.';
COMMENT ON COLUMN llm_store.file_pieces.hash IS 'The SHA-256 that the content must have; NULL for an empty file.';
COMMENT ON COLUMN llm_store.file_pieces.content IS 'The bytes; NULL for an empty file, or if a tile is missing.';

COMMIT;
