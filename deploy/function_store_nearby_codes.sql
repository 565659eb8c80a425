-- Deploy hartonomous:function_store_nearby_codes to pg
-- requires: table_atom, table_atom_code_count, table_model_tensor, function_store_atom_code

-- The codes of an encoding lie in a plane of their own, of one z and one m. A plane that is too far away or whose encoding
-- no model has is not searched at all; plpython/geometry.py has the encodings. What models use of an encoding is one bit
-- string, made once: codes that a dropped model left behind are passed over for a few microseconds each.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.nearby_codes(origin public.geometry, k integer, furthest double precision)
RETURNS TABLE (content bytea, distance double precision, place public.geometry)
LANGUAGE plpgsql
STABLE
STRICT
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
ROWS 1
AS $function$
DECLARE
    encoding record;
    code record;
    found integer;
BEGIN
    FOR encoding IN
        SELECT u.used, public.st_setsrid(public.st_makeline(
            public.st_makepoint(8388608, 8388608, p.z, p.m), public.st_makepoint(16777216, 16777216, p.z, p.m)
        ), 3857) AS plane
        FROM (
            VALUES ('F16', 1, 4), ('Q4_0', 2, 2), ('Q4_1', 3, 2), ('Q8_0', 8, 3),
            ('Q4_K', 12, 2), ('IQ4_NL', 20, 2), ('IQ4_XS', 23, 2), ('BF16', 30, 4)
        ) AS e (type, number, log_bits)
        CROSS JOIN LATERAL (SELECT
            8388608 + (e.log_bits * 67108864.0 + 0.5)::double precision / 256 AS z,
            8388608 + (e.number * 16777216.0 + 0.5)::double precision / 256 AS m
        ) AS p
        CROSS JOIN LATERAL (
            SELECT bit_or(n.code_bits) AS used
            FROM llm_store.tensor AS t
            INNER JOIN llm_store.atom_code_count AS n ON n.tensor_hash = t.hash
            WHERE t.type = e.type AND EXISTS (SELECT FROM llm_store.model_tensor AS mt WHERE mt.tensor_hash = t.hash)
        ) AS u
        WHERE
            greatest(abs(p.z - public.st_z(origin)), abs(p.m - public.st_m(origin))) <= furthest
            AND u.used IS NOT NULL
    LOOP
        found := 0;
        FOR code IN
            SELECT a.content, k.number, a.geom OPERATOR(public.<<->>) origin AS distance, a.geom AS place
            FROM llm_store.atom AS a
            CROSS JOIN LATERAL (SELECT c.code AS number FROM llm_store.atom_code(a.content) AS c) AS k
            WHERE a.modality = 'continuous' AND a.geom OPERATOR(public.&&&) encoding.plane
            ORDER BY a.geom OPERATOR(public.<<->>) origin
        LOOP
            EXIT WHEN code.distance > furthest OR found = k;
            CONTINUE WHEN get_bit(encoding.used, code.number) = 0;
            found := found + 1;
            RETURN QUERY SELECT code.content, code.distance, code.place;
        END LOOP;
    END LOOP;
END
$function$;

ALTER FUNCTION llm_store.nearby_codes(public.geometry, integer, double precision) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.nearby_codes(public.geometry, integer, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.nearby_codes(public.geometry, integer, double precision) TO llm_user;
COMMENT ON FUNCTION llm_store.nearby_codes(public.geometry, integer, double precision) IS
'The k weight codes of each encoding nearest to a POINT ZM, of those that are in a model which the caller sees and no '
'further away than furthest.';

COMMIT;
