-- Deploy hartonomous:function_hilbert_point to pg
-- requires: schema_llm_atoms, extension_postgis, function_hilbert_decode_2d

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_atoms.hilbert_point(h_xy bigint, h_yz bigint, h_zm bigint)
RETURNS public.geometry
LANGUAGE plpgsql
IMMUTABLE
STRICT
PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
COST 1000
AS $function$
DECLARE
    xy CONSTANT record := llm_atoms.hilbert_decode_2d(h_xy);
    yz CONSTANT record := llm_atoms.hilbert_decode_2d(h_yz);
    zm CONSTANT record := llm_atoms.hilbert_decode_2d(h_zm);
BEGIN
    -- y is in two of the keys, and so is z: keys that do not belong together show it.
    IF xy.y <> yz.x OR yz.y <> zm.x THEN
        RAISE EXCEPTION USING
            ERRCODE = '22023',
            MESSAGE = 'the keys are not those of one point',
            DETAIL = format('y is %s in h_xy and %s in h_yz; z is %s in h_yz and %s in h_zm.', xy.y, yz.x, yz.y, zm.x),
            HINT = 'Take the three keys from one row of llm_atoms.atoms or one call of llm_atoms.hilbert_keys.';
    END IF;
    RETURN public.st_setsrid(public.st_makepoint(
        8388608 + (xy.x + 0.5::double precision) / 256, 8388608 + (xy.y + 0.5::double precision) / 256,
        8388608 + (zm.x + 0.5::double precision) / 256, 8388608 + (zm.y + 0.5::double precision) / 256
    ), 3857);
END
$function$;

ALTER FUNCTION llm_atoms.hilbert_point(bigint, bigint, bigint) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_atoms.hilbert_point(bigint, bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_atoms.hilbert_point(bigint, bigint, bigint) TO llm_user;
COMMENT ON FUNCTION llm_atoms.hilbert_point(bigint, bigint, bigint) IS
'The POINT ZM of these keys, in the middle of its steps: the inverse of llm_atoms.hilbert_keys. y and z are in '
'two keys '
'each; keys that disagree about them are an error.';

COMMIT;
