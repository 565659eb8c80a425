-- Deploy hartonomous:function_store_nearby_codes to pg
-- requires: table_model_code, function_store_code_lines, function_store_atom_code_content, extension_postgis

-- The codes of an encoding lie on straight lines, so no index is needed. The point's projection on a line has a position among
-- the codes of the line, and codes closer to that position are closer to the point. Bits on both sides of it are counted in a
-- span that doubles, until there are k. Atoms that only a dropped model had are never visited.
-- Lines are searched in the order of their distance, up to the distance of what was found.
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
ROWS 10
AS $function$
DECLARE
    line record;
    used bit varying;
    span integer;
    low integer;
    high integer;
    code record;
    found integer;
    bound double precision := furthest;
BEGIN
    FOR line IN
        SELECT f.*, sqrt(
            (f.x + f.slope * f.foot * f.step - public.st_x(origin)) ^ 2
            + (f.y + f.foot * f.step - public.st_y(origin)) ^ 2
            + (f.z - public.st_z(origin)) ^ 2 + (f.m - public.st_m(origin)) ^ 2
        ) AS distance
        FROM (
            SELECT l.*, greatest(l.first_code, least(
                l.last_code, (l.slope * (public.st_x(origin) - l.x) + public.st_y(origin) - l.y) / (2 * l.step)
            )) AS foot
            FROM llm_store.code_lines() AS l
            WHERE l.type IN (SELECT c.type FROM llm_store.model_code AS c)
        ) AS f
        ORDER BY distance
    LOOP
        EXIT WHEN line.distance * (1 - 1e-12) > bound; -- more than rounding
        used := (
            SELECT bit_or(c.code_bits) FROM llm_store.model_code AS c
            INNER JOIN llm_store.model AS m ON m.id = c.model_id
            WHERE c.type = line.type
        );
        CONTINUE WHEN used IS NULL;
        span := k;
        LOOP
            low := greatest(line.first_code, ceil(line.foot - span));
            high := least(line.last_code, floor(line.foot + span));
            EXIT WHEN (low, high) = (line.first_code, line.last_code)
                OR bit_count(substring(used FROM low + 1 FOR high - low + 1)) >= k;
            span := span * 2;
        END LOOP;
        found := 0;
        FOR code IN
            SELECT b.number FROM (
                SELECT generate_series(s.first_code, least(s.first_code + 63, high)) AS number
                FROM generate_series(low, high, 64) AS s (first_code)
                WHERE bit_count(substring(used FROM s.first_code + 1 FOR 64)) > 0
            ) AS b
            WHERE get_bit(used, b.number) = 1
            ORDER BY abs(b.number - line.foot)
            LIMIT k
        LOOP
            content := llm_store.atom_code_content(line.type, code.number);
            place := public.st_setsrid(public.st_makepoint(
                line.x + line.slope * code.number * line.step, line.y + code.number * line.step, line.z, line.m
            ), 3857);
            distance := place OPERATOR(public.<<->>) origin;
            EXIT WHEN distance > furthest;
            RETURN NEXT;
            found := found + 1;
        END LOOP;
        IF found = k THEN -- the last was the furthest of them
            bound := least(bound, distance);
        END IF;
    END LOOP;
END
$function$;

ALTER FUNCTION llm_store.nearby_codes(public.geometry, integer, double precision) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.nearby_codes(public.geometry, integer, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.nearby_codes(public.geometry, integer, double precision) TO llm_user;
COMMENT ON FUNCTION llm_store.nearby_codes(public.geometry, integer, double precision) IS
'Weight codes of models that the caller sees, no farther than furthest from a POINT ZM. The k nearest are among them.';

COMMIT;
