-- Deploy hartonomous:function_store_model_hash to pg
-- requires: table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.model_hash(model_id integer)
RETURNS bytea
LANGUAGE sql
STABLE
STRICT
PARALLEL SAFE
SECURITY INVOKER
BEGIN ATOMIC
    SELECT
        sha256(
            convert_to(m.architecture::text || E'\n', 'UTF8') || k.hash || coalesce((
                SELECT string_agg(convert_to(mt.name || E'\n', 'UTF8') || mt.tensor_hash, '' ORDER BY mt.ordinal)
                FROM llm_store.model_tensor AS mt
                WHERE mt.model_id = m.id
            ), '')
        )
    FROM llm_store.model AS m
    INNER JOIN llm_store.tokenizer AS k ON m.tokenizer_id = k.id
    WHERE m.id = model_hash.model_id;
END;

ALTER FUNCTION llm_store.model_hash(integer) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.model_hash(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.model_hash(integer) TO llm_user;
COMMENT ON FUNCTION llm_store.model_hash(integer) IS
'The hash of model_id: SHA-256 over the architecture and a newline, the tokenizer''s hash, and for each tensor in '
'order its name, a newline and its hash.';

COMMIT;
