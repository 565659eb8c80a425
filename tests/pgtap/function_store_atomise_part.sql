BEGIN;
SELECT plan(7);

\ir tiny_model.psql

SET LOCAL ROLE llm_loader;
SELECT llm_store.store_tokenizer(pg_temp.tiny_tokenizer(), '{"vocabulary_size": 4}') AS id \gset
SELECT is(llm_store.atomise_part(:id, 1), 3::bigint, 'its tokens are placed');
SELECT is(llm_store.atomise_part(:id, 1), 0::bigint, 'once');
SELECT is_empty(
    'SELECT FROM llm_store.atom_byte_count AS c WHERE c.tokenizer_id = ' || :id,
    'its bytes are not counted before all parts are there');
SELECT is(llm_store.atomise_tokenizer(:id), 3::bigint, 'the other part and the bytes are stored with the tokenizer');
SELECT is(
    (
        SELECT c.counts[98] + c.counts[99] FROM llm_store.atom_byte_count AS c WHERE c.tokenizer_id = :id
    ), 4::bigint,
    'then they are');
SELECT is(llm_store.atomise_part(-1, 0), 0::bigint, 'a tokenizer that is not there has no atoms');
SET LOCAL ROLE llm_user;
SELECT throws_ok('SELECT llm_store.atomise_part(1, 0)', '42501', NULL, 'a user may not store atoms');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
