BEGIN;
SELECT plan(3);

\ir tiny_model.psql

SELECT lives_ok(
    $$SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer())$$, 'a model is loaded');
SELECT results_eq(
    $$SELECT id, text, bytes, kind FROM llm.tokens WHERE model = 'tiny' ORDER BY id$$,
    $$VALUES (0, 'a', 'a'::bytea, 'normal'), (1, 'b', 'b', 'normal'), (2, 'ab', 'ab', 'normal'), (3, '', '',
    'unused')$$,
    'its vocabulary is rows, with a padded one at the end');
SELECT table_privs_are('llm', 'tokens', 'llm_user', ARRAY['SELECT']);

SELECT * FROM finish();
ROLLBACK;
