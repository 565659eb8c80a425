BEGIN;
SELECT plan(4);

\ir tiny_model.psql

SELECT lives_ok(
    $$SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer())$$, 'a model is loaded');
SELECT results_eq(
    $$SELECT family, parameters, bytes, layers, context_length, tokens, container FROM llm.models WHERE name = 'tiny'$$,
    -- 8 of the embedding, 6 of three norms, 4 times 4 of attention, 3 times 6 of the feed-forward network
    $$VALUES ('llama', 48::bigint, 192::bigint, 1, 8, 4, 'gguf')$$,
    'it is a row with its sizes');
SELECT table_privs_are('llm', 'models', 'llm_user', ARRAY['SELECT']);
SELECT is(
    (SELECT hash FROM llm.models WHERE name = 'tiny'),
    (SELECT llm_store.model_hash(id) FROM llm_store.model WHERE name = 'tiny'), 'with the root of its Merkle tree');

SELECT * FROM finish();
ROLLBACK;
