BEGIN;
SELECT plan(5);

\ir no_models.psql
\ir three_tokens.psql
-- Two more that lie in one place: they differ in none of the bytes that make it.
INSERT INTO llm_store.token (tokenizer_id, id, bytes, text, kind)
SELECT
    k.id AS tokenizer_id,
    t.id,
    t.bytes,
    '' AS text,
    'normal' AS kind
FROM
    llm_store.tokenizer AS k,
    (VALUES (3, 'zq450000zqefzqkl'::bytea), (4, 'zq451111zqefzqkl'::bytea)) AS t (id, bytes)
WHERE k.hash = sha256('tokenizer');
SELECT llm_store.store_atom_tokens(k.id) FROM llm_store.tokenizer AS k WHERE k.hash = sha256('tokenizer');

SELECT is_empty(
    $$SELECT FROM llm_store.nearby_tokens(llm_atoms.atom_point('aqz'), 3) AS n WHERE n.content IN ('aqz', 'q')$$,
    'what no model has is passed over');
\ir a_model_of_them.psql
SELECT results_eq(
    $$SELECT n.content, n.place::bytea FROM llm_store.nearby_tokens(llm_atoms.atom_point('aqz'), 1) AS n$$,
    $$VALUES ('aqz'::bytea, llm_atoms.atom_point('aqz')::bytea)$$,
    'nearest to a token is itself, in its place');
SELECT is(
    (
        SELECT count(*) FROM llm_store.nearby_tokens(llm_atoms.atom_point('a'), 9999) AS n
        WHERE n.content IN ('a', 'q', 'z')
    ),
    3::bigint, 'its bytes are there too, those once that are tokens');
SELECT is_empty(
    $$SELECT n.content FROM llm_store.nearby_tokens(llm_atoms.atom_point('aqz'), 10000) AS n
        WHERE n.distance <> n.place OPERATOR(public.<<->>) llm_atoms.atom_point('aqz')$$,
    'the distance is that of the place');
SELECT results_eq(
    $$SELECT n.content, n.distance FROM llm_store.nearby_tokens(llm_atoms.atom_point('zq450000zqefzqkl'), 2) AS n$$,
    $$VALUES ('zq450000zqefzqkl'::bytea, 0::double precision), ('zq451111zqefzqkl', 0)$$,
    'two tokens of one place are both found');

SELECT * FROM finish();
ROLLBACK;
