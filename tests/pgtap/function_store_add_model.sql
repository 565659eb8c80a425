BEGIN;
SELECT plan(5);

\ir tiny_model.psql

CREATE ROLE ann IN ROLE llm_loader;
SET LOCAL ROLE ann;
SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
SELECT
    architecture AS tiny,
    tokenizer_id AS tokens
FROM llm_store.model WHERE id = :id \gset
SELECT llm_store.add_model('copy', :'tiny', :tokens, 'gguf') AS copy \gset
SELECT results_eq(
    format('SELECT owner::text, kind FROM llm_store.model WHERE id = %s', :copy),
    $$VALUES ('ann', 'decoder')$$, 'a row is made that belongs to the caller');
SELECT is_empty(
    format('SELECT FROM llm_store.model_tensor WHERE model_id = %s', :copy), 'it has no tensors');
SELECT throws_ok(
    format('SELECT llm_store.add_model(''copy'', %L, %s, ''gguf'')', :'tiny', :tokens),
    '42710', 'model "copy" was created by another session meanwhile', 'a name is not taken twice');
SELECT throws_ok(
    format('SELECT llm_store.add_model(''a b'', %L, %s, ''gguf'')', :'tiny', :tokens),
    '23514', NULL, 'what is no name never becomes one');
SET LOCAL ROLE llm_user;
SELECT throws_ok(
    format('SELECT llm_store.add_model(''third'', %L, %s, ''gguf'')', :'tiny', :tokens),
    '42501', NULL, 'a user may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
