-- Deploy hartonomous:function_store_add_files to pg
-- requires: table_file_segment, role_llm_loader

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.add_files(model_id integer, files jsonb)
RETURNS void
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    missing record;
BEGIN
    SELECT f.file ->> 'path' AS path, s.segment ->> 'tile' AS hash INTO missing
    FROM jsonb_array_elements(files) AS f (file)
    CROSS JOIN LATERAL jsonb_array_elements(f.file -> 'segments') AS s (segment)
    WHERE
        s.segment ? 'tile'
        AND NOT EXISTS (SELECT FROM llm_store.tile AS t WHERE t.hash = decode(s.segment ->> 'tile', 'hex'))
    LIMIT 1;
    IF FOUND THEN
        RAISE undefined_object USING
            MESSAGE = format('a tile of file "%s" is not stored', missing.path),
            DETAIL = format('Its hash is %s.', missing.hash),
            HINT = 'Send the tiles that llm_store.missing_tiles names through llm_store.upload, then publish again.';
    END IF;
    INSERT INTO llm_store.file_segment (model_id, path, ordinal, tensor_name, tile_hash)
    SELECT
        add_files.model_id,
        f.file ->> 'path',
        coalesce(s.ordinality - 1, 0), -- an empty file has one segment, which is neither tensor nor tile
        s.segment ->> 'tensor',
        decode(s.segment ->> 'tile', 'hex')
    FROM jsonb_array_elements(files) AS f (file)
    LEFT JOIN LATERAL jsonb_array_elements(f.file -> 'segments') WITH ORDINALITY AS s (segment, ordinality) ON TRUE;
END
$function$;

ALTER FUNCTION llm_store.add_files(integer, jsonb) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.add_files(integer, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.add_files(integer, jsonb) TO llm_loader;
COMMENT ON FUNCTION llm_store.add_files(integer, jsonb) IS
'Stores which files a model was loaded from, as its manifest says (see llm_store.publish). Their tiles must be stored.';

COMMIT;
