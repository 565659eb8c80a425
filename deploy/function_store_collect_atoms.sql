-- Deploy hartonomous:function_store_collect_atoms to pg
-- requires: table_atom, table_atom_code_count, table_atom_byte_count, table_token, function_store_atom_code_hash

-- SECURITY DEFINER: atoms may only be deleted by this rule.
-- A load does not store an atom again that it finds, so atoms are removed only while no load is running. The lock is tried, not
-- waited for, and readers do not take it.
-- Each call determines again which atoms are used, because a load may start between two calls. So a batch is larger than a
-- vocabulary.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.collect_atoms(batch integer DEFAULT 200000)
RETURNS bigint
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    removed bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock('llm_store.atom'::regclass::oid::bigint) THEN
        RETURN 0;
    END IF;
    WITH code AS MATERIALIZED (
        SELECT llm_store.atom_code_hash(t.type, c.code) AS hash
        FROM llm_store.atom_code_count AS n
        INNER JOIN llm_store.tensor AS t ON t.hash = n.tensor_hash
        CROSS JOIN LATERAL unnest(n.codes) AS c (code)
        GROUP BY t.type, c.code
    ), gone AS (
        SELECT a.h_xy, a.content_hash
        FROM llm_store.atom AS a
        WHERE
            a.modality = 'discrete'
            AND NOT EXISTS (SELECT FROM llm_store.atom_byte_count AS c WHERE c.counts[get_byte(a.content, 0) + 1] > 0)
        UNION ALL
        SELECT a.h_xy, a.content_hash
        FROM llm_store.atom AS a
        LEFT JOIN llm_store.token AS t ON t.bytes = a.content
        WHERE a.modality = 'compositional' AND t.bytes IS NULL
        UNION ALL
        SELECT a.h_xy, a.content_hash
        FROM llm_store.atom AS a
        LEFT JOIN code AS c ON c.hash = a.content_hash
        WHERE a.modality = 'continuous' AND c.hash IS NULL
        LIMIT batch
    )
    DELETE FROM llm_store.atom AS d
    USING gone AS g
    WHERE d.h_xy = g.h_xy AND d.content_hash = g.content_hash;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END
$function$;

ALTER FUNCTION llm_store.collect_atoms(integer) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.collect_atoms(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.collect_atoms(integer) TO llm_loader;
COMMENT ON FUNCTION llm_store.collect_atoms(integer) IS
'Removes up to batch atoms that no stored tokenizer or tensor uses, and returns how many. Returns 0 while a model is '
'being loaded.';

COMMIT;
