-- Deploy hartonomous:function_hilbert_decode to pg
-- requires: schema_llm_atoms, function_hilbert_decode_2d

-- John Skilling, "Programming the Hilbert curve", AIP Conference Proceedings 707 (2004) 381-387: TransposetoAxes.
-- plpython/atoms/hilbert.py is the same curve in bulk.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_atoms.hilbert_decode(key numeric, dimensions integer, bits integer)
RETURNS bigint[]
LANGUAGE plpgsql
IMMUTABLE
STRICT
PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
COST 1000
AS $function$
DECLARE
    n CONSTANT integer := dimensions;
    x bigint[] := array_fill(0::bigint, ARRAY[greatest(0, least(dimensions, 8))]);
    low bigint;
    exchange bigint;
    last bigint;
    -- The key is taken apart in pieces of at most 62 bits, from its low end.
    above numeric := key;
    piece bigint;
    left_bits integer := 0;
BEGIN
    IF dimensions NOT BETWEEN 2 AND 8 THEN
        RAISE EXCEPTION USING
            ERRCODE = '22023',
            MESSAGE = 'dimensions out of range',
            DETAIL = format('%s is not between 2 and 8.', dimensions),
            HINT = 'A point has 2 to 8 coordinates.';
    END IF;
    IF bits NOT BETWEEN 1 AND 63 THEN
        RAISE EXCEPTION USING
            ERRCODE = '22023',
            MESSAGE = 'bits out of range',
            DETAIL = format('%s is not between 1 and 63.', bits),
            HINT = 'A coordinate is a bigint: 63 bits and a sign.';
    END IF;
    -- NaN sorts above infinity.
    IF key < 0 OR key >= 'infinity' OR key <> trunc(key) OR key >= power(2::numeric, dimensions * bits) THEN
        RAISE EXCEPTION USING
            ERRCODE = '22023',
            MESSAGE = 'key out of range',
            DETAIL = format('%s is not an integer between 0 and 2^%s - 1.', trim_scale(key), dimensions * bits),
            HINT = 'Decode with the dimensions and the bits that the key was made with.';
    END IF;

    IF n = 2 AND bits <= 31 THEN
        RETURN (SELECT ARRAY[p.x, p.y] FROM llm_atoms.hilbert_decode_2d(key::bigint, bits) AS p);
    END IF;

    FOR bit IN 0 .. bits - 1 LOOP
        IF left_bits = 0 THEN
            left_bits := 62 / n * n;
            piece := mod(above, (1::bigint << left_bits)::numeric);
            above := div(above, (1::bigint << left_bits)::numeric);
        END IF;
        FOR i IN REVERSE n .. 1 LOOP
            x[i] := x[i] + ((piece & 1) << bit);
            piece := piece >> 1;
        END LOOP;
        left_bits := left_bits - n;
    END LOOP;

    last := x[n] >> 1;
    FOR i IN REVERSE n .. 2 LOOP
        x[i] := x[i] # x[i - 1];
    END LOOP;
    x[1] := x[1] # last;
    FOR bit IN 1 .. bits - 1 LOOP
        low := (1::bigint << bit) - 1;
        FOR i IN REVERSE n .. 1 LOOP
            IF (x[i] >> bit) & 1 = 1 THEN
                x[1] := x[1] # low;
            ELSE
                exchange := (x[1] # x[i]) & low;
                x[1] := x[1] # exchange;
                x[i] := x[i] # exchange;
            END IF;
        END LOOP;
    END LOOP;
    RETURN x;
END
$function$;

ALTER FUNCTION llm_atoms.hilbert_decode(numeric, integer, integer) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_atoms.hilbert_decode(numeric, integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_atoms.hilbert_decode(numeric, integer, integer) TO llm_user;
COMMENT ON FUNCTION llm_atoms.hilbert_decode(numeric, integer, integer) IS
'The cell of a key on the Hilbert curve: the inverse of llm_atoms.hilbert_encode, for 2 to 8 dimensions of 1 '
'to 63 bits.';

COMMIT;
