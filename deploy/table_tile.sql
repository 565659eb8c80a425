-- Deploy hartonomous:table_tile to pg
-- requires: schema_llm_store, role_llm_loader

-- The hash is a generated column: it cannot be wrong, and COPY through llm_store.upload is as fast as COPY into the table.
-- EXTERNAL: quantised weights do not compress, and trying costs time at every load.
-- Truncating the toast table would take ACCESS EXCLUSIVE and cancel the queries of standbys.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE llm_store.tile (
    hash bytea GENERATED ALWAYS AS (sha256(content)) STORED,
    content bytea NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tile_pkey PRIMARY KEY (hash),
    CONSTRAINT tile_content_size CHECK (octet_length(content) BETWEEN 1 AND 1048576)
) WITH (toast.vacuum_truncate = FALSE);

ALTER TABLE llm_store.tile OWNER TO llm_owner;
ALTER TABLE llm_store.tile ALTER COLUMN content SET STORAGE EXTERNAL;
GRANT SELECT ON llm_store.tile TO llm_user;
GRANT INSERT (content) ON llm_store.tile TO llm_loader;

COMMENT ON TABLE llm_store.tile IS
'Pieces of tensors and files of at most 1 MiB, in the file''s own encoding. Equal pieces are stored once, whoever '
'loads them. llm.collect removes pieces that nothing refers to.';
COMMENT ON COLUMN llm_store.tile.hash IS 'The SHA-256 of the content, computed by the server.';
COMMENT ON COLUMN llm_store.tile.content IS 'Whole rows of a tensor, or a piece of a row or file longer than 1 MiB.';
COMMENT ON COLUMN llm_store.tile.stored_at IS
'When it was stored; llm.collect spares young tiles, because a load may be in progress.';

COMMIT;
