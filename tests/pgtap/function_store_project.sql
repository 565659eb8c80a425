BEGIN;
SELECT plan(2);

\ir tiny_model.psql

SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
-- The four tokens at (3, 0), (-1, 0), (-1, 1) and (-1, -1): squares of 12 along the first direction and 2 along the other.
SELECT llm.set_tensor('tiny', 'token_embd.weight', llm.bytes(ARRAY[3, 0, -1, 0, -1, 1, -1, -1])) AS error \gset
SELECT lives_ok(
    $$SELECT llm_store.project(t.hash) FROM llm.tensors AS t WHERE t.model = 'tiny' AND t.name = 'token_embd.weight'$$,
    'a matrix has a map');
SELECT throws_ok(
    $$SELECT llm_store.project(t.hash) FROM llm.tensors AS t WHERE t.model = 'tiny' AND t.name = 'output_norm.weight'$$,
    '22023', NULL, 'a vector has none');

SELECT * FROM finish();
ROLLBACK;
