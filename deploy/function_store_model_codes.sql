-- Deploy hartonomous:function_store_model_codes to pg
-- requires: table_model_code, table_model_tensor, table_atom_code_count

-- The models' rows are locked first, so a second transaction computes from what the first committed. A transaction that
-- changed a model's tensors has this lock already, by llm_store.keep_model_hash.
-- Unchanged rows are not written: most edits neither add the first nor remove the last weight of a code.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.store_model_codes(model_ids integer[])
RETURNS void
LANGUAGE plpgsql
VOLATILE
STRICT
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM FROM llm_store.model AS m WHERE m.id = ANY (model_ids) ORDER BY m.id FOR NO KEY UPDATE;
    WITH used AS MATERIALIZED (
        SELECT m.id AS model_id, t.type, bit_or(n.code_bits) AS code_bits
        FROM llm_store.model AS m
        INNER JOIN llm_store.model_tensor AS mt ON mt.model_id = m.id
        INNER JOIN llm_store.tensor AS t ON t.hash = mt.tensor_hash
        INNER JOIN llm_store.atom_code_count AS n ON n.tensor_hash = t.hash
        WHERE m.id = ANY (model_ids)
        GROUP BY m.id, t.type
    ), gone AS (
        DELETE FROM llm_store.model_code AS c
        WHERE
            c.model_id = ANY (model_ids)
            AND NOT EXISTS (SELECT FROM used AS u WHERE u.model_id = c.model_id AND u.type = c.type)
    )

    INSERT INTO llm_store.model_code AS c (model_id, type, code_bits)
    SELECT u.model_id, u.type, u.code_bits FROM used AS u
    ON CONFLICT (model_id, type) DO UPDATE SET code_bits = excluded.code_bits
    WHERE c.code_bits <> excluded.code_bits;
END
$function$;

ALTER FUNCTION llm_store.store_model_codes(integer[]) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.store_model_codes(integer[]) FROM PUBLIC;
COMMENT ON FUNCTION llm_store.store_model_codes(integer[]) IS
'Determines which weight codes models have, from the counts of their tensors, and stores what has changed.';

COMMIT;
