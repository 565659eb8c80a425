-- Deploy hartonomous:function_atom_point to pg
-- requires: schema_llm_atoms, extension_postgis

-- plpython/atoms/geometry.py is the same function in bulk. Only twelve bytes and the length are read, so a tile of 1 MiB costs
-- no more than a letter: substring() reads only the needed pieces of a stored value.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_atoms.atom_point(content bytea)
RETURNS public.geometry
LANGUAGE plpgsql
IMMUTABLE
STRICT
PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
COST 300
AS $function$
DECLARE
    size CONSTANT bigint := octet_length(content);
    head CONSTANT bytea := substring(content FROM 1 FOR 4) || '\x000000'::bytea;
    tail CONSTANT bytea := '\x000000'::bytea || substring(content FROM greatest(1, size::integer - 3));
    middle CONSTANT bytea := substring(content FROM size::integer / 2 + 1 FOR 4) || '\x000000'::bytea;
    last CONSTANT integer := octet_length(tail) - 1;
    doublings bigint := 0;
    x bigint;
    y bigint;
    z bigint;
    m bigint;
BEGIN
    IF size = 0 THEN
        RAISE EXCEPTION USING
            ERRCODE = '22023',
            MESSAGE = 'empty content has no point',
            DETAIL = 'The content has 0 bytes.',
            HINT = 'An atom has at least one byte.';
    END IF;
    -- Four bytes are a number of 32 bits, of which the top 31 count.
    x := ((get_byte(head, 0)::bigint << 24) + (get_byte(head, 1) << 16) + (get_byte(head, 2) << 8)
        + get_byte(head, 3)) >> 1;
    y := ((get_byte(tail, last)::bigint << 24) + (get_byte(tail, last - 1) << 16) + (get_byte(tail, last - 2) << 8)
        + get_byte(tail, last - 3)) >> 1;
    m := ((get_byte(middle, 0)::bigint << 24) + (get_byte(middle, 1) << 16) + (get_byte(middle, 2) << 8)
        + get_byte(middle, 3)) >> 1;
    -- 2^26 steps for each doubling of the length, straight in between: whole numbers, the same on every machine.
    WHILE size >> (doublings + 1)::integer > 0 LOOP
        doublings := doublings + 1;
    END LOOP;
    z := (doublings << 26) + ((size - (1::bigint << doublings::integer)) << 26 >> doublings::integer);
    RETURN public.st_setsrid(public.st_makepoint(
        8388608 + (x + 0.5::double precision) / 256, 8388608 + (y + 0.5::double precision) / 256,
        8388608 + (z + 0.5::double precision) / 256, 8388608 + (m + 0.5::double precision) / 256
    ), 3857);
END
$function$;

ALTER FUNCTION llm_atoms.atom_point(bytea) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_atoms.atom_point(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_atoms.atom_point(bytea) TO llm_user;
COMMENT ON FUNCTION llm_atoms.atom_point(bytea) IS
E'The point of a byte, a token or a tile. x: its first four bytes; y: its last four bytes, read backwards; z: the '
'binary logarithm of its length; m: four bytes from its middle on.\n'
'Points that are close are spelt alike; that says nothing about meaning.\n'
'See docs/atoms.md.';

COMMIT;
