-- Deploy hartonomous:function_store_atomise_tensors to pg
-- requires: table_tensor, function_store_atom_codes, function_store_code_lines

-- SECURITY DEFINER: tensors share atoms, so nobody writes one but through this function, which takes everything from
-- tiles that are stored already.
-- The lock is shared among loads, and kept from llm_store.collect_atoms until the transaction ends.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.atomise_tensors(tensor_hashes bytea[], names text[])
RETURNS bigint
LANGUAGE plpgsql
VOLATILE
STRICT
PARALLEL UNSAFE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    fresh record;
BEGIN
    PERFORM pg_advisory_xact_lock_shared('llm_store.atom'::regclass::oid::bigint);
    -- In one order, so that two loads of the same tensors wait for each other but never in a circle.
    SELECT array_agg(f.hash ORDER BY f.hash) AS hashes, array_agg(f.name ORDER BY f.hash) AS names INTO fresh
    FROM (
        SELECT t.hash, min(u.name) AS name
        FROM ROWS FROM (unnest(tensor_hashes), unnest(atomise_tensors.names)) AS u (hash, name)
        INNER JOIN llm_store.tensor AS t ON t.hash = u.hash
        WHERE
            t.type IN (SELECT l.type FROM llm_store.code_lines() AS l)
            AND NOT EXISTS (SELECT FROM llm_store.atom_code_count AS c WHERE c.tensor_hash = t.hash)
        GROUP BY t.hash
    ) AS f;
    RETURN coalesce(llm_store.store_atom_codes(fresh.hashes, fresh.names), 0);
END
$function$;

ALTER FUNCTION llm_store.atomise_tensors(bytea[], text[]) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.atomise_tensors(bytea[], text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.atomise_tensors(bytea[], text[]) TO llm_loader;
COMMENT ON FUNCTION llm_store.atomise_tensors(bytea[], text[]) IS
'Stores the weight codes of stored tensors as atoms and how often each tensor has each, where that was not done '
'before; returns how many weights were counted. Infinity or NaN in a tensor is an error (22023) that names it: names '
'has a name for each.';

COMMIT;
