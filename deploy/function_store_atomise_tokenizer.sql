-- Deploy hartonomous:function_store_atomise_tokenizer to pg
-- requires: function_store_atom_tokens

-- SECURITY DEFINER: tokenizers share atoms, so they are written only by this function, which takes everything from
-- rows that are stored already.
-- Loads share this lock. While one holds it, llm_store.collect_atoms removes nothing.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.atomise_tokenizer(tokenizer_id integer)
RETURNS bigint
LANGUAGE plpgsql
VOLATILE
STRICT
PARALLEL UNSAFE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM pg_advisory_xact_lock_shared('llm_store.atom'::regclass::oid::bigint);
    IF
        NOT EXISTS (SELECT FROM llm_store.tokenizer AS k WHERE k.id = atomise_tokenizer.tokenizer_id)
        OR EXISTS (SELECT FROM llm_store.atom_byte_count AS c WHERE c.tokenizer_id = atomise_tokenizer.tokenizer_id)
    THEN
        RETURN 0;
    END IF;
    RETURN llm_store.store_atom_tokens(tokenizer_id);
END
$function$;

ALTER FUNCTION llm_store.atomise_tokenizer(integer) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.atomise_tokenizer(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.atomise_tokenizer(integer) TO llm_loader;
COMMENT ON FUNCTION llm_store.atomise_tokenizer(integer) IS
'Stores the bytes and tokens of a stored tokenizer as atoms, and the counts of the bytes, if that was not done yet. '
'Returns how many tokens were stored.';

COMMIT;
