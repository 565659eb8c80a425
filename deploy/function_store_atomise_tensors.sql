-- Deploy hartonomous:function_store_atomise_tensors to pg
-- requires: table_tensor, function_store_atom_codes, function_store_code_lines

-- SECURITY DEFINER: tensors share atoms, so nobody writes one but through this function, which takes everything from
-- tiles that are stored already.
-- The lock is shared among loads, and kept from llm_store.collect_atoms until the transaction ends.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.atomise_tensors(tensor_hashes bytea[])
RETURNS bigint
LANGUAGE plpgsql
VOLATILE
STRICT
PARALLEL UNSAFE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    fresh bytea[];
BEGIN
    PERFORM pg_advisory_xact_lock_shared('llm_store.atom'::regclass::oid::bigint);
    -- In one order, so that two loads of the same tensors wait for each other but never in a circle.
    fresh := ARRAY(
        SELECT t.hash
        FROM llm_store.tensor AS t
        WHERE
            t.hash = ANY (tensor_hashes)
            AND t.type IN (SELECT l.type FROM llm_store.code_lines() AS l)
            AND NOT EXISTS (SELECT FROM llm_store.atom_code_count AS c WHERE c.tensor_hash = t.hash)
        ORDER BY t.hash
    );
    RETURN CASE WHEN cardinality(fresh) = 0 THEN 0 ELSE llm_store.store_atom_codes(fresh) END;
END
$function$;

ALTER FUNCTION llm_store.atomise_tensors(bytea[]) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.atomise_tensors(bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.atomise_tensors(bytea[]) TO llm_loader;
COMMENT ON FUNCTION llm_store.atomise_tensors(bytea[]) IS
'Stores the weight codes of stored tensors as atoms and how often each tensor has each, where that was not done '
'before; returns how many weights were counted.';

COMMIT;
