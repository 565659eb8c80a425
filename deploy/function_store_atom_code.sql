-- Deploy hartonomous:function_store_atom_code to pg
-- requires: schema_llm_store

-- A body of standard SQL: it is inlined into queries, and its names are resolved when it is created.
-- LIMIT prevents flattening, so that what is computed from the columns can be memoized for all atoms that share them.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.atom_code(content bytea)
RETURNS TABLE (type text, code integer)
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
SECURITY INVOKER
ROWS 1
BEGIN ATOMIC
    SELECT
        convert_from(substring(content FROM 1 FOR position('\x00'::bytea IN content) - 1), 'UTF8') AS type,
        get_byte(content, position('\x00'::bytea IN content))
        + CASE
            WHEN octet_length(content) > position('\x00'::bytea IN content) + 1
                THEN get_byte(content, position('\x00'::bytea IN content) + 1) << 8
            ELSE 0
        END AS code
    LIMIT 1; -- noqa: AM09
END;

ALTER FUNCTION llm_store.atom_code(bytea) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.atom_code(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.atom_code(bytea) TO llm_user;
COMMENT ON FUNCTION llm_store.atom_code(bytea) IS
'The encoding and the code of a weight code''s atom, from its content.';

COMMIT;
