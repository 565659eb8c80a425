-- Deploy hartonomous:function_store_atomise to pg
-- requires: table_model_tensor, function_store_atomise_tokenizer, function_store_atomise_tensors, function_store_model_codes

-- SECURITY DEFINER: models share atoms, so they are written only by this function, which takes everything from the
-- stored model.
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
BEGIN
    tokens := coalesce(llm_store.atomise_tokenizer(
        (SELECT m.tokenizer_id FROM llm_store.model AS m WHERE m.id = atomise.model_id)
    ), 0);
    weights := llm_store.atomise_tensors(
        ARRAY(
            SELECT mt.tensor_hash FROM llm_store.model_tensor AS mt
            WHERE mt.model_id = atomise.model_id ORDER BY mt.ordinal
        ),
        ARRAY(SELECT mt.name FROM llm_store.model_tensor AS mt WHERE mt.model_id = atomise.model_id ORDER BY mt.ordinal)
    );
    PERFORM llm_store.store_model_codes(ARRAY[model_id]); -- the model had these tensors before they were counted
END
$function$;

ALTER FUNCTION llm_store.atomise(integer) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.atomise(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.atomise(integer) TO llm_loader;
COMMENT ON FUNCTION llm_store.atomise(integer) IS
'Stores the missing atoms of a model in the transaction that publishes it: bytes and tokens, weight codes, and how '
'often each is used. Returns how many tokens were stored and how many weights were counted.';

COMMIT;
