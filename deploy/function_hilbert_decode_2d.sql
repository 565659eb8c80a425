-- Deploy hartonomous:function_hilbert_decode_2d to pg
-- requires: schema_llm_atoms

-- The inverse of the table of llm_atoms.hilbert_encode_2d: byte (state, six bits of the key) holds three bits of x,
-- three of y and the next state.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_atoms.hilbert_decode_2d(key bigint, bits integer DEFAULT 31, OUT x bigint, OUT y bigint)
LANGUAGE plpgsql
IMMUTABLE
STRICT
PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
COST 300
AS $function$
DECLARE
    steps CONSTANT bytea := '\x010424234061654648696d4e2f2a0a0d10313516191c3c3b595c7c7b76575370'
            '90b1b596999cbcbbd9dcfcfbf6d7d3f0efeacacdae8f8ba8a68783a0c1c4e4e3'
            '00212506090c2c2b494c6c6b664743608184a4a3c0e1e5c6c8e9edceafaa8a8d'
            '9194b4b3d0f1f5d6d8f9fddebfba9a9d7e5f5b78777252553732121518393d1e'
            'fffadaddbe9f9bb8b69793b0d1d4f4f3eecfcbe8e7e2c2c5a7a2828588a9ad8e'
            '6e4f4b68676242452722020508292d0e111434335071755658797d5e3f3a1a1d'
            'fedfdbf8f7f2d2d5b7b2929598b9bd9e7f7a5a5d3e1f1b383617133051547473'
            '6f6a4a4d2e0f0b28260703204144646380a1a586898cacabc9ccecebe6c7c3e0';
    levels CONSTANT integer := (bits + 2) / 3 * 3;
    -- Each level that is put on top to make whole steps exchanges the axes: begin so that it comes out even.
    step integer := (levels - bits) & 1;
BEGIN
    IF bits NOT BETWEEN 1 AND 31 OR key NOT BETWEEN 0 AND (1::bigint << 2 * bits) - 1 THEN
        RAISE EXCEPTION USING
            ERRCODE = '22023',
            MESSAGE = 'bits or key out of range',
            DETAIL = format('The key is %s, for %s bits an axis.', key, bits),
            HINT = 'bits is from 1 to 31, the key from 0 to 2^(2 bits) - 1.';
    END IF;
    x := 0;
    y := 0;
    FOR level IN REVERSE levels - 3 .. 0 BY 3 LOOP
        step := get_byte(steps, ((step & 3) << 6) + ((key >> 2 * level) & 63)::integer);
        x := (x << 3) + (step >> 5);
        y := (y << 3) + ((step >> 2) & 7);
    END LOOP;
END
$function$;

ALTER FUNCTION llm_atoms.hilbert_decode_2d(bigint, integer) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_atoms.hilbert_decode_2d(bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_atoms.hilbert_decode_2d(bigint, integer) TO llm_user;
COMMENT ON FUNCTION llm_atoms.hilbert_decode_2d(bigint, integer) IS
'The cell of a key on the plane''s Hilbert curve: the inverse of llm_atoms.hilbert_encode_2d, for 1 to 31 bits '
'an axis.';

COMMIT;
