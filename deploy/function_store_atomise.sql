-- Deploy hartonomous:function_store_atomise to pg
-- requires: table_model_tensor, function_store_atom_tokens, function_store_atom_codes

-- SECURITY DEFINER: models of different owners share atoms, so nobody writes one but through this function, which takes
-- everything from rows that are stored already.
-- The lock is shared among loads, and kept from llm_store.collect_atoms until the model is there.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.atomise(model_id integer, OUT tokens bigint, OUT weights bigint)
RETURNS record
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    tokenizer integer;
    tensors bytea[];
BEGIN
    PERFORM pg_advisory_xact_lock_shared('llm_store.atom'::regclass::oid::bigint);
    tokenizer := (
        SELECT m.tokenizer_id FROM llm_store.model AS m
        WHERE
            m.id = atomise.model_id
            AND NOT EXISTS (SELECT FROM llm_store.atom_byte_count AS c WHERE c.tokenizer_id = m.tokenizer_id)
    );
    -- In one order, so that two loads of the same tensors wait for each other but never in a circle.
    tensors := ARRAY(
        SELECT DISTINCT t.hash
        FROM llm_store.model_tensor AS mt
        INNER JOIN llm_store.tensor AS t ON t.hash = mt.tensor_hash
        WHERE
            mt.model_id = atomise.model_id
            AND t.type IN ('F16', 'BF16', 'Q8_0', 'Q4_0', 'Q4_1', 'Q4_K', 'IQ4_NL', 'IQ4_XS')
            AND NOT EXISTS (SELECT FROM llm_store.atom_code_count AS c WHERE c.tensor_hash = t.hash)
        ORDER BY t.hash
    );
    tokens := coalesce(llm_store.store_atom_tokens(tokenizer), 0);
    weights := CASE WHEN cardinality(tensors) = 0 THEN 0 ELSE llm_store.store_atom_codes(tensors) END;
END
$function$;

ALTER FUNCTION llm_store.atomise(integer) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.atomise(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.atomise(integer) TO llm_loader;
COMMENT ON FUNCTION llm_store.atomise(integer) IS
'Stores the atoms of a model that are not there yet, in the transaction that publishes it: bytes and tokens, weight '
'codes, and how often each is used. Returns how many tokens were placed and how many weights were counted.';

COMMIT;
