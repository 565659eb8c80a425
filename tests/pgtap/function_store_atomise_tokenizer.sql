BEGIN;
SELECT plan(5);

\ir tiny_model.psql

SET LOCAL ROLE llm_loader;
SELECT llm_store.store_tokenizer(pg_temp.tiny_tokenizer(), '{"vocabulary_size": 4}') AS id \gset
SELECT is(llm_store.atomise_tokenizer(:id), 3::bigint, 'its tokens are placed');
SELECT is(llm_store.atomise_tokenizer(:id), 0::bigint, 'once');
SELECT is(
    ARRAY(SELECT a.content FROM llm_store.atom AS a WHERE a.content IN ('a', 'b', 'ab') ORDER BY a.content),
    ARRAY['a', 'ab', 'b']::bytea[], 'and are atoms');
SELECT is(llm_store.atomise_tokenizer(-1), 0::bigint, 'a tokenizer that is not there has no atoms');
SET LOCAL ROLE llm_user;
SELECT throws_ok('SELECT llm_store.atomise_tokenizer(1)', '42501', NULL, 'a user may not store atoms');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
