BEGIN;
SELECT plan(7);

\ir tiny_model.psql

CREATE ROLE ann IN ROLE llm_loader;
CREATE ROLE bob IN ROLE llm_loader;
SET LOCAL ROLE ann;
SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
SELECT columns_are(
    'llm_store', 'operation',
    ARRAY['id', 'model_id', 'operation', 'details', 'parents', 'hash_before', 'hash_after', 'author', 'done_at']);
SELECT table_privs_are('llm_store', 'operation', 'llm_user', ARRAY['SELECT']);
SELECT lives_ok(
    format(
        $$INSERT INTO llm_store.operation (model_id, operation, hash_before, hash_after)
        VALUES (%s, 'by hand', '', '')$$,
        :id),
    'ann records what she did to her model');
SELECT is((SELECT author FROM llm_store.operation WHERE model_id = :id), 'ann', 'under her name');
SELECT throws_ok(
    format(
        $$INSERT INTO llm_store.operation (model_id, operation, hash_before, hash_after, author)
        VALUES (%s, 'by hand', '', '', 'bob')$$, :id),
    '42501', NULL, 'and no other');
SET LOCAL ROLE bob;
SELECT throws_ok(
    format(
        $$INSERT INTO llm_store.operation (model_id, operation, hash_before, hash_after)
        VALUES (%s, 'by hand', '', '')$$,
        :id),
    '42501', NULL, 'bob records nothing about the model of ann');
SELECT throws_ok('DELETE FROM llm_store.operation', '42501', NULL, 'nobody takes a row away');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
