-- Deploy hartonomous:function_store_missing_tiles to pg
-- requires: schema_llm_store, table_tile

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.missing_tiles(tile_hashes bytea[])
RETURNS SETOF bytea
LANGUAGE sql
STABLE
PARALLEL SAFE
SECURITY INVOKER
BEGIN ATOMIC
    SELECT DISTINCT h.hash
    FROM unnest(tile_hashes) AS h (hash)
    WHERE h.hash IS NOT NULL AND NOT EXISTS (SELECT FROM llm_store.tile AS t WHERE t.hash = h.hash);
END;

ALTER FUNCTION llm_store.missing_tiles(bytea[]) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.missing_tiles(bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.missing_tiles(bytea[]) TO llm_loader;
COMMENT ON FUNCTION llm_store.missing_tiles(bytea[]) IS
'Which of tile_hashes (SHA-256) are not stored yet: the tiles that a loader has to send through llm_store.upload.';

COMMIT;
