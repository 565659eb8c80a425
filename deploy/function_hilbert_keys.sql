-- Deploy hartonomous:function_hilbert_keys to pg
-- requires: schema_llm_atoms, extension_postgis, function_hilbert_encode_2d

-- The domain is [2^23, 2^24) on every axis in steps of 2^-8: 2^31 cells. Their middles are exact in a double, and x and y lie
-- within the extent of SRID 3857, so that a map program shows them. docs/adr/0004-atoms.md says why.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_atoms.hilbert_keys(point public.geometry, OUT h_xy bigint, OUT h_yz bigint, OUT h_zm bigint)
LANGUAGE plpgsql
IMMUTABLE
STRICT
PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
COST 1000
AS $function$
DECLARE
    c double precision[];
    x bigint;
    y bigint;
    z bigint;
    m bigint;
BEGIN
    IF public.geometrytype(point) <> 'POINT' OR public.st_zmflag(point) <> 3 OR public.st_isempty(point) THEN
        RAISE EXCEPTION USING
            ERRCODE = '22023',
            MESSAGE = 'not a point with x, y, z and m',
            DETAIL = format('The geometry is %s.', left(public.st_astext(point), 100)),
            HINT = 'Make one with ST_MakePoint(x, y, z, m).';
    END IF;
    c := ARRAY[public.st_x(point), public.st_y(point), public.st_z(point), public.st_m(point)];
    IF NOT (8388608 <= ALL (c) AND 16777216 > ALL (c)) THEN
        RAISE EXCEPTION USING
            ERRCODE = '22023',
            MESSAGE = 'coordinate out of range',
            DETAIL = format('The geometry is %s.', public.st_astext(point)),
            HINT = 'x, y, z and m are from 2^23 up to and without 2^24.';
    END IF;
    x := floor((c[1] - 8388608) * 256);
    y := floor((c[2] - 8388608) * 256);
    z := floor((c[3] - 8388608) * 256);
    m := floor((c[4] - 8388608) * 256);
    h_xy := llm_atoms.hilbert_encode_2d(x, y);
    h_yz := llm_atoms.hilbert_encode_2d(y, z);
    h_zm := llm_atoms.hilbert_encode_2d(z, m);
END
$function$;

ALTER FUNCTION llm_atoms.hilbert_keys(public.geometry) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_atoms.hilbert_keys(public.geometry) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_atoms.hilbert_keys(public.geometry) TO llm_user;
COMMENT ON FUNCTION llm_atoms.hilbert_keys(public.geometry) IS
'The keys of a POINT ZM on the Hilbert curves of the planes (x, y), (y, z) and (z, m), each from 0 to 2^62 - 1. An '
'axis goes from 2^23 to 2^24 in 2^31 steps of 1/256; all points of a step have the same key.';

COMMIT;
