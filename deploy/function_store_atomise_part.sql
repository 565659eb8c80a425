-- Deploy hartonomous:function_store_atomise_part to pg
-- requires: function_store_atom_part

-- SECURITY DEFINER: tokenizers share atoms, so they are written only by this function, which takes everything from
-- rows that are stored already.
-- Loads share this lock. While one holds it, llm_store.collect_atoms removes nothing.
-- The tokenizer's row is locked too: llm.collect leaves it alone while its atoms are stored.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.atomise_part(tokenizer_id integer, part integer)
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
    PERFORM FROM llm_store.tokenizer AS k WHERE k.id = atomise_part.tokenizer_id FOR KEY SHARE;
    IF NOT FOUND OR EXISTS (
        SELECT FROM llm_store.atom_part AS p
        WHERE p.tokenizer_id = atomise_part.tokenizer_id AND p.part = atomise_part.part
    ) THEN
        RETURN 0;
    END IF;
    RETURN llm_store.store_atom_part(tokenizer_id, part);
END
$function$;

ALTER FUNCTION llm_store.atomise_part(integer, integer) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.atomise_part(integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.atomise_part(integer, integer) TO llm_loader;
COMMENT ON FUNCTION llm_store.atomise_part(integer, integer) IS
'Stores one part of a stored tokenizer''s tokens as atoms, if that was not done yet. Returns how many tokens are in '
'it. llm_store.atomise_tokenizer does the rest.';

COMMIT;
