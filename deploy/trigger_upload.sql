-- Deploy hartonomous:trigger_upload to pg
-- requires: view_store_upload, table_tile

-- It uses the loader's right to insert the column content. The hash is generated, so a tile cannot be forged.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.upload_tile()
RETURNS trigger
LANGUAGE plpgsql
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    INSERT INTO llm_store.tile (content) VALUES (new.content)
    ON CONFLICT DO NOTHING;
    RETURN new;
END
$function$;

ALTER FUNCTION llm_store.upload_tile() OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.upload_tile() FROM PUBLIC;
COMMENT ON FUNCTION llm_store.upload_tile() IS 'Stores a tile, if it is not stored yet.';

CREATE TRIGGER upload
INSTEAD OF INSERT ON llm_store.upload
FOR EACH ROW EXECUTE FUNCTION llm_store.upload_tile();
COMMENT ON TRIGGER upload ON llm_store.upload IS 'Turns rows of COPY into tiles.';

COMMIT;
