BEGIN;
SELECT plan(4);

SELECT columns_are(
    'llm_atoms', 'atoms',
    ARRAY['h_xy', 'h_yz', 'h_zm', 'geom', 'modality', 'content_hash', 'ref_count', 'meta'], 'the columns of an atom');
SELECT is_empty(
    'SELECT FROM llm_atoms.atoms WHERE ref_count IS NULL OR ref_count < 1', 'what nothing refers to is not shown');
SELECT ok(
    (
        SELECT 'security_invoker=true' = any(c.reloptions)
        FROM pg_catalog.pg_class AS c
        WHERE c.oid = 'llm_atoms.atoms'::regclass
    ),
    'the rights of who reads decide');

-- A vocabulary that nobody analysed: each token is looked up by index, and the vocabulary not read for each.
\ir three_tokens.psql
\ir a_model_of_them.psql
INSERT INTO llm_store.token (tokenizer_id, id, bytes, text, kind)
SELECT
    k.id AS tokenizer_id,
    i + 3 AS id,
    convert_to('zq' || i, 'UTF8') AS bytes,
    'zq' || i AS text,
    'normal' AS kind
FROM llm_store.tokenizer AS k, generate_series(0, 9999) AS i
WHERE k.hash = sha256('tokenizer');
CREATE FUNCTION pg_temp.explained() RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE 'EXPLAIN SELECT FROM llm_atoms.atoms WHERE meta ->> ''kind'' = ''model''';
END
$$;
SELECT is_empty(
    $$SELECT line FROM pg_temp.explained() AS line WHERE line ~ 'Seq Scan on token '$$,
    'a condition on what an atom is reads no vocabulary for each token');

SELECT * FROM finish();
ROLLBACK;
