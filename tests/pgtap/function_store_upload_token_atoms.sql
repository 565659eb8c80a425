BEGIN;
SELECT plan(6);

\ir no_models.psql
\ir tiny_model.psql

SET LOCAL ROLE llm_loader;
SELECT llm_store.upload_vocabulary(pg_temp.tiny_tokenizer(), '{"eos_ids": [], "vocabulary_size": 4}') AS id \gset
SELECT is(llm_store.upload_token_atoms(:id, 0), 0::bigint, 'its tokens are letters');
SELECT is(llm_store.upload_token_atoms(:id, 1), 3::bigint, 'which are placed');
SELECT is_empty(
    $$SELECT FROM llm_atoms.atoms WHERE meta ->> 'kind' IN ('byte', 'token', 'tokenizer')$$, 'and not shown');
SELECT is(
    llm_store.upload_tokenizer(pg_temp.tiny_tokenizer(), '{"vocabulary_size": 4, "eos_ids": []}'), 3::bigint,
    'what is left is stored with the tokenizer');
SELECT throws_ok('SELECT llm_store.upload_token_atoms(1, 2)', '22023', NULL, 'there is no third part');
SET LOCAL ROLE llm_user;
SELECT throws_ok('SELECT llm_store.upload_token_atoms(1, 0)', '42501', NULL, 'a user may not upload');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
