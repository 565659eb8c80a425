-- Deploy hartonomous:function_store_atomise_tensors to pg
-- requires: table_tensor, function_store_atom_codes, function_store_code_lines

-- SECURITY DEFINER: tensors share atoms, so they are written only by this function, which takes everything from
-- tiles that are stored already.
-- Loads share this lock. While one holds it, llm_store.collect_atoms removes nothing.
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
'Stores the weight codes of stored tensors as atoms, and their counts in each tensor, if that was not done yet. '
'Returns how many weights were counted. Infinity or NaN is an error (22023) that names the tensor; names has a name '
'for each tensor.';

COMMIT;
