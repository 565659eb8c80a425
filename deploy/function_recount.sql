-- Deploy hartonomous:function_recount to pg
-- requires: schema_llm_atoms, table_atom, table_atom_run, table_atom_code_count, table_atom_byte_count, table_model_code, function_atom_point, function_hilbert_keys, function_store_atom_code_counts, function_store_atom_code_hash, function_store_atom_code_point, function_store_code_lines

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_atoms.recount()
RETURNS TABLE (holder bytea, problem text)
LANGUAGE plpgsql
STABLE
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
ROWS 1
AS $function$
BEGIN
    -- the codes of each tensor, from its tiles
    RETURN QUERY
    SELECT t.hash, format('%s of %s occurs %s times, but the count is %s', 'code ' || d.code, t.type, d.found, d.stored)
    FROM llm_store.tensor AS t
    LEFT JOIN llm_store.atom_code_count AS n ON n.tensor_hash = t.hash
    CROSS JOIN LATERAL (
        SELECT coalesce(f.code, s.code) AS code, coalesce(f.count, 0) AS found, coalesce(s.number, 0) AS stored
        FROM llm_store.atom_code_counts(t.hash) AS f
        FULL JOIN unnest(n.codes, n.counts) AS s (code, number) ON s.code = f.code
    ) AS d
    WHERE
        t.type IN (SELECT l.type FROM llm_store.code_lines() AS l)
        AND EXISTS (SELECT FROM llm_store.model_tensor AS mt WHERE mt.tensor_hash = t.hash)
        AND (d.found <> d.stored OR d.found > 0 AND get_bit(n.code_bits, d.code) = 0);

    -- the codes of each model, from those of its tensors
    RETURN QUERY
    SELECT m.hash, format('the codes of %s are not those of the tensors of model %s', u.type, m.name)
    FROM (
        SELECT coalesce(f.model_id, c.model_id) AS model_id, coalesce(f.type, c.type) AS type
        FROM (
            SELECT mt.model_id, t.type, bit_or(n.code_bits) AS code_bits
            FROM llm_store.model_tensor AS mt
            INNER JOIN llm_store.tensor AS t ON t.hash = mt.tensor_hash
            INNER JOIN llm_store.atom_code_count AS n ON n.tensor_hash = t.hash
            GROUP BY mt.model_id, t.type
        ) AS f
        FULL JOIN llm_store.model_code AS c ON c.model_id = f.model_id AND c.type = f.type
        WHERE f.code_bits IS DISTINCT FROM c.code_bits
    ) AS u
    INNER JOIN llm_store.model AS m ON m.id = u.model_id;

    -- the bytes of each tokenizer, from its tokens
    RETURN QUERY
    SELECT z.hash, format('byte %s occurs %s times in its tokens, but the count is %s', b.byte, b.found, b.stored)
    FROM llm_store.tokenizer AS z
    CROSS JOIN LATERAL (
        SELECT i AS byte, coalesce(f.number, 0) AS found, c.counts[i + 1] AS stored
        FROM generate_series(0, 255) AS i
        LEFT JOIN llm_store.atom_byte_count AS c ON c.tokenizer_id = z.id
        LEFT JOIN (
            SELECT get_byte(t.bytes, j) AS byte, count(*) AS number
            FROM llm_store.token AS t
            CROSS JOIN LATERAL generate_series(0, octet_length(t.bytes) - 1) AS j
            WHERE t.tokenizer_id = z.id
            GROUP BY 1
        ) AS f ON f.byte = i
    ) AS b
    WHERE
        EXISTS (SELECT FROM llm_store.model AS m WHERE m.tokenizer_id = z.id) AND b.found IS DISTINCT FROM b.stored;

    -- what is used and not there
    RETURN QUERY
    SELECT u.hash, u.what || ' is not an atom'
    FROM (
        SELECT sha256(t.bytes) AS hash, 'token ' || min(t.text) AS what
        FROM llm_store.model AS m
        INNER JOIN llm_store.token AS t ON t.tokenizer_id = m.tokenizer_id
        WHERE t.bytes <> ''
        GROUP BY t.bytes
        UNION ALL
        SELECT llm_store.atom_code_hash(t.type, c.code), format('code %s of %s', c.code, t.type)
        FROM llm_store.atom_code_count AS n
        INNER JOIN llm_store.tensor AS t ON t.hash = n.tensor_hash
        CROSS JOIN LATERAL unnest(n.codes) AS c (code)
        GROUP BY t.type, c.code
    ) AS u
    LEFT JOIN llm_store.atom AS a ON a.content_hash = u.hash
    WHERE a.content_hash IS NULL;

    -- what is not searched, or in another place
    RETURN QUERY
    SELECT z.hash, format('%s is missing from the runs, or there twice or at a wrong position', encode(coalesce(w.content, r.content), 'escape'))
    FROM (
        SELECT t.tokenizer_id, t.bytes AS content FROM llm_store.token AS t WHERE t.bytes <> ''
        UNION
        SELECT c.tokenizer_id, set_byte('\x00', 0, i)
        FROM llm_store.atom_byte_count AS c
        CROSS JOIN LATERAL generate_series(0, 255) AS i
        WHERE c.counts[i + 1] > 0
    ) AS w
    FULL JOIN (
        SELECT p.tokenizer_id, p.content, count(*) = 1 AND bool_and(p.is_right) AS is_right
        FROM (
            SELECT u.tokenizer_id, u.content, u.geom::bytea = llm_atoms.atom_point(u.content)::bytea AS is_right
            FROM (
                SELECT n.tokenizer_id, d.geom, substring(
                    n.content FROM n.starts[d.path[1]]
                    FOR coalesce(n.starts[d.path[1] + 1], octet_length(n.content) + 1) - n.starts[d.path[1]]
                ) AS content
                FROM llm_store.atom_run AS n
                CROSS JOIN LATERAL public.st_dumppoints(n.geom) AS d
            ) AS u
        ) AS p
        GROUP BY p.tokenizer_id, p.content
    ) AS r ON r.tokenizer_id = w.tokenizer_id AND r.content = w.content
    INNER JOIN llm_store.tokenizer AS z ON z.id = coalesce(w.tokenizer_id, r.tokenizer_id)
    WHERE
        EXISTS (SELECT FROM llm_store.model AS m WHERE m.tokenizer_id = z.id)
        AND (w.content IS NULL OR r.is_right IS NOT TRUE);

    -- what is there and not what its content says
    RETURN QUERY
    SELECT a.content_hash, 'the atom is not what its content says'
    FROM llm_store.atom AS a
    CROSS JOIN LATERAL llm_atoms.hilbert_keys(a.geom) AS k
    WHERE
        a.content_hash <> sha256(a.content)
        OR (a.h_xy, a.h_yz, a.h_zm) IS DISTINCT FROM (k.h_xy, k.h_yz, k.h_zm)
        OR a.modality <> 'continuous' AND (a.modality = 'discrete') <> (octet_length(a.content) = 1)
        OR a.geom::bytea IS DISTINCT FROM CASE a.modality
            WHEN 'continuous' THEN llm_store.atom_code_point(a.content)
            ELSE llm_atoms.atom_point(a.content)
        END::bytea;
END
$function$;

ALTER FUNCTION llm_atoms.recount() OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_atoms.recount() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_atoms.recount() TO llm_user;
COMMENT ON FUNCTION llm_atoms.recount() IS
E'Counts every reference again from the tiles and vocabularies, and computes the hash, point and keys of every stored '
'atom again, also in the search index.\n'
'Atoms that nothing uses are no difference; llm.collect removes them.\n'
'Returns a row for each difference, with the hash of the tensor, model, tokenizer or atom. No rows: all is well.';

COMMIT;
