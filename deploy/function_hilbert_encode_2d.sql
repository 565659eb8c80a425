-- Deploy hartonomous:function_hilbert_encode_2d to pg
-- requires: schema_llm_atoms

-- The plane's curve as a state machine. States: 0 unchanged, 1 axes exchanged, 2 both axes mirrored, 3 exchanged and mirrored.
-- A step is three levels of the grid: byte (state, three bits of x, three of y) holds six bits of the key and the next state.
-- A test computes the same table from the numpy form.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_atoms.hilbert_encode_2d(x bigint, y bigint, bits integer DEFAULT 31)
RETURNS bigint
LANGUAGE plpgsql
IMMUTABLE
STRICT
PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
COST 300
AS $function$
DECLARE
    steps CONSTANT bytea := '\x01043a3d404e51540f08363345495f58101e202e7b776164151925297c726f68'
            'ebe7dbd7808e9194ece2dcd285899f98f1f4cacdbbb7a1a4fff8c6c3bcb2afa8'
            '000e1114eaedf0fe05091f18e6e3f5f93b372124daddcbc73c322f28d6d3ccc2'
            '41447a7d8184babd4f4876738f88b6b3505e606e909ea0ae555965699599a5a9'
            'aaadb0bec1c4fafda6a3b5b9cfc8f6f39a9d8b87d0dee0ee96938c82d5d9e5e9'
            '6a6d707e2b271b17666375792c221c125a5d4b4731340a0d56534c423f380603'
            'aba79b976b675b57aca29c926c625c52b1b48a8d71744a4dbfb886837f784643'
            'c0ced1d42a2d303ec5c9dfd826233539fbf7e1e41a1d0b07fcf2efe816130c02';
    levels CONSTANT integer := (bits + 2) / 3 * 3;
    -- Each level that is put on top to make whole steps exchanges the axes: begin so that it comes out even.
    step integer := (levels - bits) & 1;
    key bigint := 0;
BEGIN
    IF bits NOT BETWEEN 1 AND 31 OR x NOT BETWEEN 0 AND (1::bigint << bits) - 1
        OR y NOT BETWEEN 0 AND (1::bigint << bits) - 1
    THEN
        RAISE EXCEPTION USING
            ERRCODE = '22023',
            MESSAGE = 'bits or coordinate out of range',
            DETAIL = format('x is %s and y is %s, of %s bits.', x, y, bits),
            HINT = 'bits is from 1 to 31, x and y from 0 to 2^bits - 1.';
    END IF;
    FOR level IN REVERSE levels - 3 .. 0 BY 3 LOOP
        step := get_byte(steps, ((step & 3) << 6) + (((x >> level) & 7) << 3)::integer + ((y >> level) & 7)::integer);
        key := (key << 6) + (step >> 2);
    END LOOP;
    RETURN key;
END
$function$;

ALTER FUNCTION llm_atoms.hilbert_encode_2d(bigint, bigint, integer) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_atoms.hilbert_encode_2d(bigint, bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_atoms.hilbert_encode_2d(bigint, bigint, integer) TO llm_user;
COMMENT ON FUNCTION llm_atoms.hilbert_encode_2d(bigint, bigint, integer) IS
'llm_atoms.hilbert_encode for a plane of 1 to 31 bits an axis, faster: the key is a bigint from 0 to 2^(2 bits) - 1.';

COMMIT;
