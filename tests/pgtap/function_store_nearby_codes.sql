BEGIN;
SELECT plan(4);

\ir no_models.psql
\ir three_tokens.psql
\ir one_tensor.psql
SELECT llm_store.store_atom_codes(ARRAY[sha256('tensor')]);
SELECT a.geom AS place FROM llm_store.atom AS a WHERE a.content = 'Q8_0\000\007'::bytea \gset

SELECT is_empty(
    format('SELECT FROM llm_store.nearby_codes(%L, 1, 0)', :'place'), 'what no model has is not shown');
\ir a_model_of_them.psql
SELECT is(
    ARRAY(SELECT n.content FROM llm_store.nearby_codes(:'place', 1, 0) AS n), ARRAY['Q8_0\000\007'::bytea],
    'nearest to a code is itself');
SELECT is(
    (SELECT count(*) FROM llm_store.nearby_codes(:'place', 10000, 'Infinity') AS n WHERE n.content LIKE 'Q8_0%'),
    (SELECT count(*) FROM llm.atoms AS a WHERE a.meta ->> 'kind' = 'code'), 'all are found');
SELECT is_empty(
    $$SELECT FROM llm_store.nearby_codes(llm.atom_point('aqz'), 10, 1)$$, 'none further away than was asked');

SELECT * FROM finish();
ROLLBACK;
