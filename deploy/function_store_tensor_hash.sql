-- Deploy hartonomous:function_store_tensor_hash to pg
-- requires: schema_llm_store, role_llm_user

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.tensor_hash(type text, shape bigint[], tiles bytea[])
RETURNS bytea
LANGUAGE sql
STABLE
STRICT
PARALLEL SAFE
SECURITY INVOKER
BEGIN ATOMIC
    SELECT
        sha256(
            convert_to(type || ' ' || array_to_string(shape, ',') || E'\n', 'UTF8')
            || coalesce(string_agg(t.hash, '' ORDER BY t.ordinality), '')
        )
    FROM unnest(tiles) WITH ORDINALITY AS t (hash, ordinality);
END;

ALTER FUNCTION llm_store.tensor_hash(text, bigint[], bytea[]) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.tensor_hash(text, bigint[], bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.tensor_hash(text, bigint[], bytea[]) TO llm_user;
COMMENT ON FUNCTION llm_store.tensor_hash(text, bigint[], bytea[]) IS
'SHA-256 over the line "type dimensions" (the dimensions of shape, comma-separated, and a newline) and the hashes of '
'the tiles in order.';

COMMIT;
