BEGIN;
SELECT plan(5);

\ir tiny_model.psql

SET LOCAL ROLE llm_loader;
SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) \gset
INSERT INTO llm_store.upload (content) VALUES ('nobody needs this');
SELECT llm_store.collect_batch('0', 1000) \gset
SELECT is_empty(
    $$SELECT FROM llm_store.tile WHERE hash = sha256('nobody needs this')$$, 'a tile that nothing refers to goes');
SELECT is_empty($$SELECT * FROM llm.verify('tiny')$$, 'all that a model needs stays');
INSERT INTO llm_store.upload (content) VALUES ('a load needs this soon');
SELECT llm_store.collect_batch('1 day', 1000) \gset
SELECT isnt_empty(
    $$SELECT FROM llm_store.tile WHERE hash = sha256('a load needs this soon')$$,
    'what is younger than the grace stays');
SELECT llm.drop_model('tiny') \gset
-- A batch removes one tokenizer, and others may be there that no model has.
SELECT count(llm_store.collect_batch('0', 1000)) AS batches FROM generate_series(1, 100) \gset
SELECT is_empty($$SELECT FROM llm_store.tile WHERE hash = sha256('head')$$, 'a dropped model frees its tiles');
SELECT is_empty(
    $$SELECT FROM llm_store.tokenizer WHERE definition = pg_temp.tiny_tokenizer()$$, 'and its tokenizer');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
