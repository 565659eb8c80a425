-- Deploy hartonomous:table_file_segment to pg
-- requires: table_model_tensor, table_tile

-- A file is the concatenation of its segments: tensors in their own encoding, and tiles with the bytes between them.
-- An empty file is one segment that is neither.
-- The key to the model's tensors is deferred, because dropping a model removes both sides in either order.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE llm_store.file_segment (
    model_id integer NOT NULL,
    path text NOT NULL,
    ordinal integer NOT NULL,
    tensor_name text,
    tile_hash bytea,
    CONSTRAINT file_segment_pkey PRIMARY KEY (model_id, path, ordinal),
    CONSTRAINT file_segment_model_fkey FOREIGN KEY (model_id) REFERENCES llm_store.model (id) ON DELETE CASCADE,
    CONSTRAINT file_segment_model_tensor_fkey FOREIGN KEY (model_id, tensor_name)
    REFERENCES llm_store.model_tensor (model_id, name) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT file_segment_tile_fkey FOREIGN KEY (tile_hash) REFERENCES llm_store.tile (hash),
    CONSTRAINT file_segment_one_source CHECK (num_nonnulls(tensor_name, tile_hash) <= 1)
);
CREATE INDEX file_segment_tile_hash_idx ON llm_store.file_segment (tile_hash) WHERE tile_hash IS NOT NULL;
CREATE INDEX file_segment_model_id_tensor_name_idx ON llm_store.file_segment (model_id, tensor_name);

ALTER TABLE llm_store.file_segment OWNER TO llm_owner;
GRANT SELECT ON llm_store.file_segment TO llm_user;
GRANT INSERT, DELETE ON llm_store.file_segment TO llm_loader;

ALTER TABLE llm_store.file_segment ENABLE ROW LEVEL SECURITY;
CREATE POLICY file_segment_read ON llm_store.file_segment FOR SELECT TO llm_user
USING (model_id IN (SELECT m.id FROM llm_store.model AS m));
CREATE POLICY file_segment_insert ON llm_store.file_segment FOR INSERT TO llm_loader
WITH CHECK (EXISTS (
    SELECT FROM llm_store.model AS m WHERE m.id = file_segment.model_id AND pg_has_role(current_user, m.owner, 'USAGE')
));
CREATE POLICY file_segment_delete ON llm_store.file_segment FOR DELETE TO llm_loader
USING (EXISTS (
    SELECT FROM llm_store.model AS m WHERE m.id = file_segment.model_id AND pg_has_role(current_user, m.owner, 'USAGE')
));

COMMENT ON TABLE llm_store.file_segment IS 'The loaded files, byte for byte: the concatenation of their segments.';
COMMENT ON COLUMN llm_store.file_segment.model_id IS 'The model.';
COMMENT ON COLUMN llm_store.file_segment.path IS 'The file''s path below the folder that was loaded.';
COMMENT ON COLUMN llm_store.file_segment.ordinal IS 'The position of the segment in the file, from 0.';
COMMENT ON COLUMN llm_store.file_segment.tensor_name IS
'The segment is this tensor of the model. NULL: it is a tile, or the file is empty.';
COMMENT ON COLUMN llm_store.file_segment.tile_hash IS 'The segment is this tile: a header, padding, or another file.';
COMMENT ON POLICY file_segment_read ON llm_store.file_segment IS 'Roles that can see a model can see its rows here.';
COMMENT ON POLICY file_segment_insert ON llm_store.file_segment IS 'A loader may add files to its own models.';
COMMENT ON POLICY file_segment_delete ON llm_store.file_segment IS 'A loader may remove files of its own models.';

COMMIT;
