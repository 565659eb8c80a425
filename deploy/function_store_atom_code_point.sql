-- Deploy hartonomous:function_store_atom_code_point to pg
-- requires: schema_llm_store, extension_postgis, function_store_code_lines

-- plpython/atoms/geometry.py is the same function in bulk (code_points, code_contents).
-- It compares bytes without decoding them: other contents give NULL, not an error.
-- OFFSET 0: the length is checked before any byte is read.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.atom_code_point(content bytea)
RETURNS public.geometry
LANGUAGE sql
IMMUTABLE
STRICT
PARALLEL SAFE
SECURITY INVOKER
BEGIN ATOMIC
    SELECT
        public.st_setsrid(public.st_makepoint(
            c.x + c.slope * c.code * c.step, c.y + c.code * c.step, c.z, c.m
        ), 3857) AS place
    FROM (
        SELECT
            e.*,
            CASE e.log_bits
                WHEN 4
                    THEN get_byte(atom_code_point.content, e.size - 1) << 8
                        | get_byte(atom_code_point.content, e.size - 2)
                ELSE get_byte(atom_code_point.content, e.size - 1)
            END AS code
        FROM (
            SELECT
                l.*,
                octet_length(l.type) + 1 + CASE l.log_bits WHEN 4 THEN 2 ELSE 1 END AS size
            FROM llm_store.code_lines() AS l
        ) AS e
        WHERE
            octet_length(atom_code_point.content) = e.size
            AND substring(atom_code_point.content FROM 1 FOR octet_length(e.type) + 1)
            = convert_to(e.type, 'UTF8') || '\x00'::bytea
        OFFSET 0 -- noqa: AM09
    ) AS c
    WHERE c.code BETWEEN c.first_code AND c.last_code;
END;

ALTER FUNCTION llm_store.atom_code_point(bytea) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.atom_code_point(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.atom_code_point(bytea) TO llm_user;
COMMENT ON FUNCTION llm_store.atom_code_point(bytea) IS
'The point of a weight code, from the content of its atom. x: the rank of its value, y: the code, z: its number of '
'bits, m: its encoding. NULL for other contents.';

COMMIT;
