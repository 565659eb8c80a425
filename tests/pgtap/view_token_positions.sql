BEGIN;
SELECT plan(4);

\ir tiny_model.psql

SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
-- The four tokens at (3, 0), (-1, 0), (-1, 1) and (-1, -1): squares of 12 along the first direction and 2 along the other.
SELECT llm.set_tensor('tiny', 'token_embd.weight', llm.bytes(ARRAY[3, 0, -1, 0, -1, 1, -1, -1])) AS error \gset
SELECT is_empty($$SELECT FROM llm_atoms.token_positions WHERE model = 'tiny'$$, 'there is no map before it is made');
SELECT llm_atoms.project('tiny') AS explained \gset
SELECT results_eq(
    $$SELECT p.token_id, p.token, round((public.st_x(p.geom) - 12582912) / j.units),
        round(abs(public.st_y(p.geom) - 12582912) / j.units)
    FROM llm_atoms.token_positions AS p INNER JOIN llm_atoms.projections AS j ON j.model = p.model
    WHERE p.model = 'tiny' ORDER BY p.token_id$$,
    $$VALUES (0, 'a', 3::double precision, 0::double precision), (1, 'b', -1, 0), (2, 'ab', -1, 1), (3, '', -1, 1)$$,
    'the farthest token lies on the positive side of the first direction');
SELECT is_empty(
    $$SELECT FROM llm_atoms.token_positions AS p CROSS JOIN llm_atoms.hilbert_keys(p.geom) AS k
    WHERE (p.h_xy, p.h_yz, p.h_zm) IS DISTINCT FROM (k.h_xy, k.h_yz, k.h_zm)$$, 'keys are those of the place');
SELECT results_eq(
    $$SELECT coord_dimension, srid, type::text FROM public.geometry_columns
    WHERE f_table_schema = 'llm_atoms' AND f_table_name = 'token_positions'$$,
    $$VALUES (4, 3857, 'POINT')$$, 'map programs find it');

SELECT * FROM finish();
ROLLBACK;
