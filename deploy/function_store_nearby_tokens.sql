-- Deploy hartonomous:function_store_nearby_tokens to pg
-- requires: table_atom_run, table_model

-- <<->> to a run is a lower bound of the distance to each of its points. So the points of the visited runs are the nearest once
-- the k-th of them is nearer than the last of these runs. Until then the number of visited runs is doubled.
-- Two tokens may have the same point, and tokenizers share tokens: each content is returned once.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.nearby_tokens(origin public.geometry, k integer)
RETURNS TABLE (content bytea, distance double precision, place public.geometry)
LANGUAGE plpgsql
STABLE
STRICT
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
ROWS 10
AS $function$
DECLARE
    tokenizers CONSTANT integer[] := ARRAY(SELECT DISTINCT m.tokenizer_id FROM llm_store.model AS m);
    runs bigint := 8 + k / 8;
    found record;
BEGIN
    LOOP
        WITH run AS MATERIALIZED (
            SELECT r.content, r.starts, r.geom, r.geom OPERATOR(public.<<->>) origin AS distance
            FROM llm_store.atom_run AS r
            WHERE r.tokenizer_id = ANY (tokenizers)
            ORDER BY r.geom OPERATOR(public.<<->>) origin
            LIMIT runs
        ), token AS (
            SELECT DISTINCT ON (t.content) t.content, t.distance, t.place
            FROM (
                SELECT
                    substring(
                        r.content FROM r.starts[p.path[1]]
                        FOR coalesce(r.starts[p.path[1] + 1], octet_length(r.content) + 1) - r.starts[p.path[1]]
                    ) AS content,
                    p.geom OPERATOR(public.<<->>) origin AS distance,
                    p.geom AS place
                FROM run AS r
                CROSS JOIN LATERAL public.st_dumppoints(r.geom) AS p
            ) AS t
            ORDER BY t.content
        ), nearest AS (
            SELECT t.content, t.distance, t.place FROM token AS t ORDER BY t.distance, t.content LIMIT k
        )

        SELECT
            array_agg(n.content) AS contents,
            array_agg(n.distance) AS distances,
            array_agg(n.place) AS places,
            (SELECT count(*) FROM run) < runs
            OR (count(*) = k AND max(n.distance) < (SELECT max(r.distance) FROM run AS r)) AS complete
        INTO found
        FROM nearest AS n;
        EXIT WHEN found.complete;
        runs := runs * 2;
    END LOOP;
    RETURN QUERY SELECT n.* FROM unnest(found.contents, found.distances, found.places) AS n;
END
$function$;

ALTER FUNCTION llm_store.nearby_tokens(public.geometry, integer) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.nearby_tokens(public.geometry, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.nearby_tokens(public.geometry, integer) TO llm_user;
COMMENT ON FUNCTION llm_store.nearby_tokens(public.geometry, integer) IS
'The k bytes and tokens nearest to a POINT ZM, of tokenizers of models that the caller sees. Runs of other '
'tokenizers are skipped.';

COMMIT;
