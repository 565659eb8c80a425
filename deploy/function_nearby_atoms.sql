-- Deploy hartonomous:function_nearby_atoms to pg
-- requires: schema_llm, function_store_nearby_tokens, function_store_nearby_codes

-- <<->> counts all four dimensions; <-> would leave z and m out.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.nearby_atoms(geom public.geometry, k integer DEFAULT 10)
RETURNS TABLE (content_hash bytea, modality text, content bytea, distance double precision, place public.geometry)
LANGUAGE plpgsql
STABLE
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
ROWS 10
AS $function$
DECLARE
    origin public.geometry;
BEGIN
    IF geom IS NULL OR k IS NULL OR k NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION USING
            ERRCODE = '22023',
            MESSAGE = 'a point and how many atoms are needed',
            DETAIL = format('The point is %s, k is %s.', public.st_astext(geom), k),
            HINT = 'k is from 1 to 10000.';
    ELSIF public.geometrytype(geom) <> 'POINT' OR public.st_zmflag(geom) <> 3 OR public.st_isempty(geom) THEN
        RAISE EXCEPTION USING
            ERRCODE = '22023',
            MESSAGE = 'not a point with x, y, z and m',
            DETAIL = format('The geometry is %s.', left(public.st_astext(geom), 100)),
            HINT = 'Take the geom of a row of llm.atoms, or llm.atom_point(content).';
    END IF;
    origin := public.st_setsrid(geom, 3857);
    RETURN QUERY
    WITH token AS MATERIALIZED (
        SELECT t.* FROM llm_store.nearby_tokens(origin, k) AS t
    )

    SELECT sha256(n.content), n.modality, n.content, n.distance, n.place
    FROM (
        SELECT t.*, CASE octet_length(t.content) WHEN 1 THEN 'discrete' ELSE 'compositional' END AS modality
        FROM token AS t
        UNION ALL
        SELECT c.*, 'continuous'
        FROM (
            SELECT CASE count(*) WHEN k THEN max(t.distance) ELSE 'Infinity' END AS furthest FROM token AS t
        ) AS f
        CROSS JOIN LATERAL llm_store.nearby_codes(origin, k, f.furthest) AS c
    ) AS n
    ORDER BY n.distance, n.content
    LIMIT k;
END
$function$;

ALTER FUNCTION llm.nearby_atoms(public.geometry, integer) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.nearby_atoms(public.geometry, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.nearby_atoms(public.geometry, integer) TO llm_user;
COMMENT ON FUNCTION llm.nearby_atoms(public.geometry, integer) IS
E'The k bytes, tokens and weight codes nearest to a POINT ZM in four dimensions, nearest first.\n'
'Near means spelt alike or weighing alike; for tokens alike in meaning compare their embeddings.\n'
'See docs/atoms.md.';

COMMIT;
