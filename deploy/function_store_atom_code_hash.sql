-- Deploy hartonomous:function_store_atom_code_hash to pg
-- requires: schema_llm_store, function_store_atom_code_content

-- A body of standard SQL: it is inlined into queries, and its names are resolved when it is created.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.atom_code_hash(type text, code integer)
RETURNS bytea
LANGUAGE sql
IMMUTABLE
STRICT
PARALLEL SAFE
SECURITY INVOKER
RETURN sha256(llm_store.atom_code_content(type, code));

ALTER FUNCTION llm_store.atom_code_hash(text, integer) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.atom_code_hash(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.atom_code_hash(text, integer) TO llm_user;
COMMENT ON FUNCTION llm_store.atom_code_hash(text, integer) IS
'The name of a weight code: the SHA-256 of its content.';

COMMIT;
