BEGIN;
SELECT plan(6);

\ir no_models.psql
\ir tiny_model.psql

SET LOCAL ROLE llm_loader;
SELECT llm_store.upload_vocabulary(pg_temp.tiny_tokenizer(), '{"eos_ids": [], "vocabulary_size": 4}') AS id \gset
SELECT is(
    (SELECT count(*) FROM llm_store.token AS t WHERE t.tokenizer_id = :id), 4::bigint, 'its vocabulary is stored');
SELECT is(
    llm_store.upload_vocabulary(pg_temp.tiny_tokenizer(), '{"vocabulary_size": 4, "eos_ids": []}'), :id, 'once');
SELECT is_empty('SELECT FROM llm.tokens', 'no view shows it before a model has it');
SELECT throws_ok(
    'SELECT llm_store.upload_vocabulary(pg_temp.tiny_tokenizer(), ''{}'')', '22023',
    'the tokenizer''s settings have no valid vocabulary_size',
    'how long the vocabulary is must be told');
SELECT throws_ok('SELECT llm_store.upload_vocabulary(NULL, ''{}'')', '22023', NULL, 'NULL is no tokenizer');
SET LOCAL ROLE llm_user;
SELECT throws_ok('SELECT llm_store.upload_vocabulary(NULL, NULL)', '42501', NULL, 'a user may not upload');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
