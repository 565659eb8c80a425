BEGIN;
SELECT plan(2);

\ir tiny_model.psql

CREATE ROLE ann IN ROLE llm_loader;
SET LOCAL ROLE ann;
SELECT lives_ok(
    $$SELECT llm_store.publish('tiny', jsonb_insert(
        pg_temp.tiny_manifest(), '{files,0}', '{"path": "empty.json", "segments": []}'), pg_temp.tiny_tokenizer())$$,
    'a model of two files, one of them empty');
SET LOCAL ROLE llm_user;
SELECT results_eq(
    $$SELECT path, bytes, tensors FROM llm.files WHERE model = 'tiny' ORDER BY path$$,
    $$VALUES ('empty.json', 0::bigint, 0), ('tiny.gguf', 36::bigint, 1)$$,
    'a row for each file with its length');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
