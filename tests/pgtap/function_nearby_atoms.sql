BEGIN;
SELECT plan(5);

\ir three_tokens.psql
SELECT llm_store.store_atom_tokens(k.id) FROM llm_store.tokenizer AS k WHERE k.hash = sha256('tokenizer');

SELECT is_empty(
    $$SELECT FROM llm.nearby_atoms(llm.atom_point('aqz'), 3) WHERE content IN ('aqz', 'q')$$,
    'what no model has is not shown');
\ir a_model_of_them.psql
SELECT is(
    (SELECT n.content FROM llm.nearby_atoms(llm.atom_point('a'), 1) AS n), 'a', 'nearest to an atom is itself');
SELECT is(
    (SELECT n.distance FROM llm.nearby_atoms(llm.atom_point('a'), 1) AS n), 0::double precision, 'at no distance');
SELECT throws_ok('SELECT llm.nearby_atoms(llm.atom_point(''a''), 0)', '22023', NULL, 'none is refused');
SELECT throws_ok('SELECT llm.nearby_atoms(''POINT (1 2)'')', '22023', NULL, 'a point without z and m is refused');

SELECT * FROM finish();
ROLLBACK;
