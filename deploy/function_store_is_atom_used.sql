-- Deploy hartonomous:function_store_is_atom_used to pg
-- requires: table_model, table_token, table_atom_byte_count, table_model_code, function_store_atom_code

-- plpgsql keeps its plans for the session: llm_atoms.decompose and llm_atoms.compose ask it for each atom.
-- OFFSET 0 in the vocabularies: they are searched model by model and by index, also before the first ANALYZE.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.is_atom_used(modality text, content bytea)
RETURNS boolean
LANGUAGE plpgsql
STABLE
STRICT
PARALLEL SAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF modality = 'compositional' THEN
        RETURN EXISTS (
            SELECT FROM llm_store.model AS m
            CROSS JOIN LATERAL (
                SELECT FROM llm_store.token AS t
                WHERE t.tokenizer_id = m.tokenizer_id AND t.bytes = is_atom_used.content OFFSET 0
            ) AS t
        );
    ELSIF modality = 'discrete' THEN
        RETURN EXISTS (
            SELECT FROM llm_store.model AS m
            INNER JOIN llm_store.atom_byte_count AS c ON c.tokenizer_id = m.tokenizer_id
            WHERE c.counts[get_byte(is_atom_used.content, 0) + 1] > 0
        );
    END IF;
    RETURN EXISTS (
        SELECT FROM llm_store.atom_code(is_atom_used.content) AS k
        INNER JOIN llm_store.model_code AS c ON c.type = k.type
        INNER JOIN llm_store.model AS m ON m.id = c.model_id
        WHERE get_bit(c.code_bits, k.code) = 1
    );
END
$function$;

ALTER FUNCTION llm_store.is_atom_used(text, bytea) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.is_atom_used(text, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.is_atom_used(text, bytea) TO llm_user;
COMMENT ON FUNCTION llm_store.is_atom_used(text, bytea) IS
'Whether a model that the caller sees uses a byte, token or weight code. Otherwise the atom is not shown: a load in '
'progress stored it, or llm.collect will remove it.';

COMMIT;
