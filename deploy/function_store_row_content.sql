-- Deploy hartonomous:function_store_row_content to pg
-- requires: table_tensor_tile

-- plpgsql keeps its plans for the session: in a view they would be made for each query that reads it.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.row_content(tensor_hash bytea, row_number integer, rows_per_tile integer, row_bytes bigint)
RETURNS bytea
LANGUAGE plpgsql
STABLE
STRICT
PARALLEL SAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    tiles bigint;
BEGIN
    IF rows_per_tile > 0 THEN
        RETURN (
            SELECT substring(b.content FROM row_number % rows_per_tile * row_bytes::integer + 1 FOR row_bytes::integer)
            FROM llm_store.tensor_tile AS tt
            INNER JOIN llm_store.tile AS b ON b.hash = tt.tile_hash
            WHERE tt.tensor_hash = row_content.tensor_hash AND tt.ordinal = row_number / rows_per_tile
        );
    END IF;
    tiles := (row_bytes + 1048575) / 1048576;
    RETURN (
        SELECT string_agg(b.content, '' ORDER BY tt.ordinal)
        FROM llm_store.tensor_tile AS tt
        INNER JOIN llm_store.tile AS b ON b.hash = tt.tile_hash
        WHERE tt.tensor_hash = row_content.tensor_hash AND tt.ordinal / tiles = row_number
    );
END
$function$;

ALTER FUNCTION llm_store.row_content(bytea, integer, integer, bigint) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.row_content(bytea, integer, integer, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.row_content(bytea, integer, integer, bigint) TO llm_user;
COMMENT ON FUNCTION llm_store.row_content(bytea, integer, integer, bigint) IS
'A row of a stored tensor, from 0, in the tensor''s encoding: a slice of a tile, or, if a row is longer than a tile, '
'its tiles. rows_per_tile and the bytes of a row are those of the tensor.';

COMMIT;
