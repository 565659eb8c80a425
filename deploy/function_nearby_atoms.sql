-- Deploy hartonomous:function_nearby_atoms to pg
-- requires: schema_llm_atoms, function_store_nearby_tokens, function_store_nearby_codes

-- <<->> uses all four dimensions; <-> would ignore z and m.
-- The index stores an atom as a box that is wider by 2^-9. That outweighs the rounding of distances up to some 2^41. From farther
-- away the index and the operator disagree about which atom is nearer, and PostgreSQL ends the search with an error.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_atoms.nearby_atoms(geom public.geometry, k integer DEFAULT 10)
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
            MESSAGE = 'geom and k are needed',
            DETAIL = format('The point is %s, k is %s.',
                coalesce(left(public.st_astext(geom), 100), 'NULL'), coalesce(k::text, 'NULL')),
            HINT = 'k is from 1 to 10000.';
    ELSIF public.geometrytype(geom) <> 'POINT' OR public.st_zmflag(geom) <> 3 OR public.st_isempty(geom) THEN
        RAISE EXCEPTION USING
            ERRCODE = '22023',
            MESSAGE = 'not a point with x, y, z and m',
            DETAIL = format('The geometry is %s.', left(public.st_astext(geom), 100)),
            HINT = 'Take the geom of a row of llm_atoms.atoms, or llm_atoms.atom_point(content).';
    END IF;
    -- NaN is greater than every number
    IF NOT (
        -1099511627776 <= ALL (ARRAY[public.st_x(geom), public.st_y(geom), public.st_z(geom), public.st_m(geom)])
        AND 1099511627776 >= ALL (ARRAY[public.st_x(geom), public.st_y(geom), public.st_z(geom), public.st_m(geom)])
    ) THEN
        RAISE EXCEPTION USING
            ERRCODE = '22023',
            MESSAGE = 'coordinate out of range',
            DETAIL = format('x, y, z and m are %s, %s, %s and %s.',
                public.st_x(geom), public.st_y(geom), public.st_z(geom), public.st_m(geom)),
            HINT = 'Atoms lie from 2^23 to 2^24 on each axis; search from -2^40 to 2^40.';
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

ALTER FUNCTION llm_atoms.nearby_atoms(public.geometry, integer) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_atoms.nearby_atoms(public.geometry, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_atoms.nearby_atoms(public.geometry, integer) TO llm_user;
COMMENT ON FUNCTION llm_atoms.nearby_atoms(public.geometry, integer) IS
E'The k bytes, tokens and weight codes nearest to a POINT ZM in four dimensions, nearest first.\n'
'Near tokens are spelt alike, near weight codes have nearly the same value. For tokens of similar meaning use '
'llm.similar_tokens.\n'
'geom: from -2^40 to 2^40 on each axis, also outside of the range of atoms, which is 2^23 to 2^24. Other points, '
'infinity and NaN are refused.\n'
'k: from 1 to 10000.\n'
'See docs/atoms.md.';

COMMIT;
