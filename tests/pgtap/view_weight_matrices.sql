BEGIN;
SELECT plan(5);

\ir tiny_model.psql

SELECT lives_ok(
    $$SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer())$$, 'a model is loaded');
SELECT results_eq(
    $$SELECT row_idx, col_idx, weight FROM llm.weight_matrices
    WHERE model = 'tiny' AND matrix_name = 'blk.0.ffn_gate.weight' ORDER BY row_idx, col_idx$$,
    $$VALUES (0, 0, 1::real), (0, 1, 1), (1, 0, 1), (1, 1, 1), (2, 0, 1), (2, 1, 1)$$,
    'a matrix of three rows and two columns is six rows');
SELECT is(
    (
        SELECT count(weight_atom_h_xy) FROM llm.weight_matrices
        WHERE model = 'tiny' AND matrix_name = 'output_norm.weight'
    ), 0::bigint, 'F32 weights are no atoms');
SELECT is_empty(
    $$SELECT FROM llm.weight_matrices WHERE model = 'tiny' AND matrix_name = 'token_embd.weight' AND row_idx = 4$$,
    'beyond the last row there is none');
CREATE FUNCTION pg_temp.plan_of(query text)
RETURNS SETOF text
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN QUERY EXECUTE 'EXPLAIN ' || query;
END
$$;
SELECT is(
    (
        SELECT count(*) FROM pg_temp.plan_of($$SELECT weight FROM llm.weight_matrices
        WHERE model = 'tiny' AND matrix_name = 'token_embd.weight' AND row_idx = 3 AND col_idx = 1$$) AS line
        WHERE line ~ 'Index Cond:.*\(n = 3\)'
    ), 1::bigint, 'a row is found by index');

SELECT * FROM finish();
ROLLBACK;
