-- Deploy hartonomous:function_store_atomise_edited to pg
-- requires: table_tensor, function_store_atom_edited_codes

-- SECURITY DEFINER: tensors share atoms, so they are written only by this function, which takes everything from
-- tiles and counts that are stored already.
-- The advisory lock is shared among loads, and kept from llm_store.collect_atoms until the transaction ends; the row
-- lock keeps llm_store.collect_batch from the tensor whose counts are taken over, and so its codes stay atoms.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.atomise_edited(tensor_hash bytea, base_hash bytea)
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
STRICT
PARALLEL UNSAFE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM pg_advisory_xact_lock_shared('llm_store.atom'::regclass::oid::bigint);
    PERFORM FROM llm_store.tensor AS b WHERE b.hash = base_hash FOR KEY SHARE;
    IF NOT EXISTS (
        SELECT FROM llm_store.tensor AS t
        INNER JOIN llm_store.tensor AS b ON b.type = t.type AND b.shape = t.shape
        INNER JOIN llm_store.atom_code_count AS n ON n.tensor_hash = b.hash
        WHERE
            t.hash = atomise_edited.tensor_hash
            AND b.hash = atomise_edited.base_hash
            AND t.rows_per_tile > 0 -- tiles of whole rows, and so of whole blocks
            AND NOT EXISTS (SELECT FROM llm_store.atom_code_count AS c WHERE c.tensor_hash = t.hash)
    ) THEN
        RETURN FALSE;
    END IF;
    PERFORM llm_store.store_atom_edited_codes(tensor_hash, base_hash);
    RETURN TRUE;
END
$function$;

ALTER FUNCTION llm_store.atomise_edited(bytea, bytea) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.atomise_edited(bytea, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.atomise_edited(bytea, bytea) TO llm_loader;
COMMENT ON FUNCTION llm_store.atomise_edited(bytea, bytea) IS
'Stores the weight codes of an edited tensor as atoms, and counts them from the counts of base_hash, a tensor of the '
'same type and shape, and the tiles that differ. llm_store.atomise_tensors does the same from all tiles. Returns '
'false if it cannot do that, or if it was done before.';

COMMIT;
