BEGIN;
SELECT plan(5);

\ir no_models.psql
\ir three_tokens.psql
\ir one_tensor.psql
SELECT llm_store.store_atom_tokens(k.id) FROM llm_store.tokenizer AS k WHERE k.hash = sha256('tokenizer');
SELECT llm_store.store_atom_codes(ARRAY[sha256('tensor')], '{w}');

SELECT is_empty(
    $$SELECT d.* FROM (VALUES ('aqz'::bytea), ('tokenizer'), ('tensor')) AS w (whole)
        CROSS JOIN LATERAL llm_atoms.decompose(sha256(w.whole)) AS d$$,
    'what no model has is not shown');
\ir a_model_of_them.psql

SELECT results_eq(
    $$SELECT part, kind, ordinal FROM llm_atoms.decompose(sha256('aqz'))$$,
    $$VALUES (sha256('a'), 'byte', 0::bigint), (sha256('q'), 'byte', 1), (sha256('z'), 'byte', 2)$$,
    'a token is its bytes in order');
SELECT results_eq(
    $$SELECT part, kind, ordinal FROM llm_atoms.decompose(sha256('tokenizer'))$$,
    $$VALUES (sha256('a'), 'byte', 0::bigint), (sha256('aqz'), 'token', 1)$$,
    'a tokenizer is its tokens by id');
SELECT results_eq(
    $$SELECT kind, count(*), sum(occurrences) FROM llm_atoms.decompose(sha256('tensor')) GROUP BY kind ORDER BY kind$$,
    $$VALUES ('code', 32::bigint, 32::numeric), ('tile', 1, 1)$$,
    'a tensor is its tiles, and the codes in them');
SELECT is_empty($$SELECT FROM llm_atoms.decompose(sha256('a'))$$, 'a byte is whole');

SELECT * FROM finish();
ROLLBACK;
