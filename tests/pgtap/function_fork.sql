BEGIN;
SELECT plan(7);

\ir tiny_model.psql

CREATE ROLE ann IN ROLE llm_loader;
CREATE ROLE bob IN ROLE llm_loader;
SET LOCAL ROLE ann;
SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
SELECT llm.fork('tiny', 'copy') AS copy \gset
SELECT is((SELECT id FROM llm_store.model WHERE name = 'copy'), :copy, 'it returns the id of the copy');
SELECT is(
    (SELECT hash FROM llm.models WHERE name = 'copy'), (SELECT hash FROM llm.models WHERE name = 'tiny'),
    'which is equal to the model');
SELECT is((SELECT count(*) FROM llm_store.file_pieces WHERE model = 'copy'), 2::bigint, 'and has its file');
SELECT throws_ok(
    $$SELECT llm.fork('tiny', 'copy')$$, '42710', 'llm: model "copy" already exists', 'a name is not taken twice');
SELECT throws_ok($$SELECT llm.fork('none', 'other')$$, '42704', NULL, 'there must be a model');
SET LOCAL ROLE bob;
SELECT llm.fork('tiny', 'bobs') AS id \gset
SELECT is((SELECT owner::text FROM llm.models WHERE name = 'bobs'), 'bob', 'a copy belongs to who made it');
SET LOCAL ROLE llm_user;
SELECT throws_ok($$SELECT llm.fork('tiny', 'mine')$$, '42501', NULL, 'a user may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
