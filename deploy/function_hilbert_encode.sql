-- Deploy hartonomous:function_hilbert_encode to pg
-- requires: schema_llm_atoms, function_hilbert_encode_2d

-- John Skilling, "Programming the Hilbert curve", AIP Conference Proceedings 707 (2004) 381-387: AxestoTranspose.
-- plpython/atoms/hilbert.py is the same curve in bulk.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_atoms.hilbert_encode(coordinates bigint[], bits integer)
RETURNS numeric
LANGUAGE plpgsql
IMMUTABLE
STRICT
PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
COST 1000
AS $function$
DECLARE
    n CONSTANT integer := cardinality(coordinates);
    x bigint[] := coordinates[:];  -- a slice starts at 1, whatever the array did
    low bigint;
    exchange bigint;
    parity bigint;
    -- The key is put together in pieces of at most 62 bits, because numeric has no bits to shift.
    key numeric := 0;
    piece bigint := 0;
    filled integer := 0;
BEGIN
    IF n NOT BETWEEN 2 AND 8 OR array_ndims(coordinates) <> 1 THEN
        RAISE EXCEPTION USING
            ERRCODE = '22023',
            MESSAGE = 'dimensions out of range',
            DETAIL = format('%s coordinates in an array of %s dimensions.', n, coalesce(array_ndims(coordinates), 0)),
            HINT = 'A point has 2 to 8 coordinates, in a one-dimensional array.';
    END IF;
    IF bits NOT BETWEEN 1 AND 63 THEN
        RAISE EXCEPTION USING
            ERRCODE = '22023',
            MESSAGE = 'bits out of range',
            DETAIL = format('%s is not between 1 and 63.', bits),
            HINT = 'A coordinate is a bigint: 63 bits and a sign.';
    END IF;
    FOR i IN 1 .. n LOOP
        IF x[i] IS NULL OR x[i] < 0 OR (bits < 63 AND x[i] >> bits > 0) THEN
            RAISE EXCEPTION USING
                ERRCODE = '22023',
                MESSAGE = 'coordinate out of range',
                DETAIL = format('Coordinate %s is %s, not between 0 and 2^%s - 1.', i, coalesce(x[i]::text, 'NULL'), bits),
                HINT = 'Quantise the point to the grid, or give more bits.';
        END IF;
    END LOOP;

    IF n = 2 AND bits <= 31 THEN
        RETURN llm_atoms.hilbert_encode_2d(x[1], x[2], bits);
    END IF;

    FOR bit IN REVERSE bits - 1 .. 1 LOOP
        low := (1::bigint << bit) - 1;
        FOR i IN 1 .. n LOOP
            IF (x[i] >> bit) & 1 = 1 THEN
                x[1] := x[1] # low;
            ELSE
                exchange := (x[1] # x[i]) & low;
                x[1] := x[1] # exchange;
                x[i] := x[i] # exchange;
            END IF;
        END LOOP;
    END LOOP;
    FOR i IN 2 .. n LOOP
        x[i] := x[i] # x[i - 1];
    END LOOP;
    parity := x[n] >> 1;
    FOR step IN 0 .. 5 LOOP
        parity := parity # (parity >> (1 << step));
    END LOOP;
    FOR i IN 1 .. n LOOP
        x[i] := x[i] # parity;
    END LOOP;

    FOR bit IN REVERSE bits - 1 .. 0 LOOP
        FOR i IN 1 .. n LOOP
            piece := (piece << 1) + ((x[i] >> bit) & 1);
        END LOOP;
        filled := filled + n;
        IF filled + n > 62 OR bit = 0 THEN
            key := key * (1::bigint << filled)::numeric + piece;
            piece := 0;
            filled := 0;
        END IF;
    END LOOP;
    RETURN key;
END
$function$;

ALTER FUNCTION llm_atoms.hilbert_encode(bigint[], integer) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_atoms.hilbert_encode(bigint[], integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_atoms.hilbert_encode(bigint[], integer) TO llm_user;
COMMENT ON FUNCTION llm_atoms.hilbert_encode(bigint[], integer) IS
E'The key of a cell of the grid [0, 2^bits)^n on the Hilbert curve (Skilling 2004), for n = 2 to 8 coordinates of 1 '
'to 63 bits.\n'
'The key is from 0 to 2^(n bits) - 1; consecutive keys are neighbouring cells.';

COMMIT;
