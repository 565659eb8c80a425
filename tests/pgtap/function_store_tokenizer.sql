BEGIN;
SELECT plan(4);

\ir tiny_model.psql

SET LOCAL ROLE llm_loader;
SELECT llm_store.store_tokenizer(pg_temp.tiny_tokenizer(), '{}') AS id \gset
SELECT is(llm_store.store_tokenizer(pg_temp.tiny_tokenizer(), '{}'), :id, 'a tokenizer is stored once');
SELECT isnt(
    llm_store.store_tokenizer(pg_temp.tiny_tokenizer(), '{"vocabulary_size": 5}'), :id,
    'with other settings it is another');
SELECT is(
    (SELECT count(*) FROM llm_store.token WHERE tokenizer_id = :id), 3::bigint, 'its vocabulary is stored with it');
SELECT is(
    (SELECT hash FROM llm_store.tokenizer WHERE id = :id), sha256(convert_to(pg_temp.tiny_tokenizer() || E'\n{}',
    'UTF8')),
    'its hash covers definition and settings');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
