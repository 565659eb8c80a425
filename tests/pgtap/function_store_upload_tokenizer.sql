BEGIN;
SELECT plan(9);

\ir no_models.psql
\ir tiny_model.psql

SET LOCAL ROLE llm_loader;
SELECT is(
    llm_store.upload_tokenizer(pg_temp.tiny_tokenizer(), '{"eos_ids": [], "vocabulary_size": 4}'), 3::bigint,
    'its tokens are placed');
SELECT is(
    llm_store.upload_tokenizer(pg_temp.tiny_tokenizer(), '{"vocabulary_size": 4, "eos_ids": []}'), 0::bigint, 'once');
SELECT is_empty('SELECT FROM llm.tokens', 'no view shows it before a model has it');
SELECT is_empty(
    $$SELECT FROM llm_atoms.atoms WHERE meta ->> 'kind' IN ('byte', 'token', 'tokenizer')$$, 'nor its atoms');
SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) \gset
SELECT is(
    (SELECT count(*) FROM llm_store.tokenizer WHERE definition = pg_temp.tiny_tokenizer()), 1::bigint,
    'llm_store.publish finds it');
SELECT throws_ok(
    'SELECT llm_store.upload_tokenizer(pg_temp.tiny_tokenizer(), ''{}'')', '22023',
    'the tokenizer''s settings have no valid vocabulary_size',
    'how long the vocabulary is must be told');
SELECT throws_ok('SELECT llm_store.upload_tokenizer(NULL, ''{}'')', '22023', NULL, 'NULL is no tokenizer');
SELECT throws_ok(
    'SELECT llm_store.upload_tokenizer(''{}'', ''{"vocabulary_size": 4}'')', 'XX001', NULL, 'nor is any other JSON');
SET LOCAL ROLE llm_user;
SELECT throws_ok('SELECT llm_store.upload_tokenizer(NULL, NULL)', '42501', NULL, 'a user may not upload');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
