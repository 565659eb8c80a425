-- Deploy hartonomous:function_store_atom_code_point to pg
-- requires: schema_llm_store, extension_postgis

-- plpython/geometry.py is the same function in bulk (code_points, code_contents).
-- It compares bytes and decodes none: what is no code has no place, and is no error.
-- OFFSET 0: no byte is asked for before the length is known to be right.
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
            8388608 + ((p.value_order << 31 - p.bits) + 0.5::double precision) / 256,
            8388608 + ((p.code << 31 - p.bits) + 0.5::double precision) / 256,
            8388608 + ((p.log_bits << 26) + 0.5::double precision) / 256,
            8388608 + ((p.number << 24) + 0.5::double precision) / 256
        ), 3857) AS place
    FROM (
        SELECT
            c.*,
            CASE
                WHEN c.type = 'Q8_0' THEN (c.code + 128) % 256
                WHEN c.bits = 16 AND c.code >= 32768 THEN 65535 - c.code
                WHEN c.bits = 16 THEN c.code + 32768
                ELSE c.code
            END AS value_order
        FROM (
            SELECT
                e.*,
                get_byte(atom_code_point.content, e.size - 1)::bigint * CASE e.bits WHEN 16 THEN 256 ELSE 1 END
                + CASE e.bits WHEN 16 THEN get_byte(atom_code_point.content, e.size - 2) ELSE 0 END AS code
            FROM (
                SELECT
                    v.*,
                    octet_length(v.type) + 1 + CASE v.bits WHEN 16 THEN 2 ELSE 1 END AS size
                FROM (
                    VALUES ('F16', 1::bigint, 16, 4::bigint), ('Q4_0', 2, 4, 2), ('Q4_1', 3, 4, 2), ('Q8_0', 8, 8, 3),
                    ('Q4_K', 12, 4, 2), ('IQ4_NL', 20, 4, 2), ('IQ4_XS', 23, 4, 2), ('BF16', 30, 16, 4)
                ) AS v (type, number, bits, log_bits)
            ) AS e
            WHERE
                octet_length(atom_code_point.content) = e.size
                AND substring(atom_code_point.content FROM 1 FOR octet_length(e.type) + 1)
                = convert_to(e.type, 'UTF8') || '\x00'::bytea
            OFFSET 0 -- noqa: AM09
        ) AS c
        WHERE c.code < 1 << c.bits
    ) AS p;
END;

ALTER FUNCTION llm_store.atom_code_point(bytea) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.atom_code_point(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.atom_code_point(bytea) TO llm_user;
COMMENT ON FUNCTION llm_store.atom_code_point(bytea) IS
'The place of a weight code, given the content of its atom: x the order of its value, y the code, z its bits, m its '
'encoding. NULL for what is no weight code.';

COMMIT;
