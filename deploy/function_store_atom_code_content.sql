-- Deploy hartonomous:function_store_atom_code_content to pg
-- requires: schema_llm_store

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.atom_code_content(type text, code integer)
RETURNS bytea
LANGUAGE sql
IMMUTABLE
STRICT
PARALLEL SAFE
SECURITY INVOKER
RETURN convert_to(type, 'UTF8') || '\x00'::bytea || CASE
    WHEN type IN ('F16', 'BF16') THEN set_byte(set_byte('\x0000'::bytea, 0, code & 255), 1, code >> 8)
    ELSE set_byte('\x00'::bytea, 0, code)
END;

ALTER FUNCTION llm_store.atom_code_content(text, integer) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.atom_code_content(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.atom_code_content(text, integer) TO llm_user;
COMMENT ON FUNCTION llm_store.atom_code_content(text, integer) IS
'The content of the atom of a weight code: the encoding''s name, a zero byte, and the code little-endian in one '
'byte, or in two bytes for F16 and BF16.';

COMMIT;
