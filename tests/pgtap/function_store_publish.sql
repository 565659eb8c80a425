BEGIN;
SELECT plan(14);

\ir tiny_model.psql

CREATE ROLE ann IN ROLE llm_loader;
SET LOCAL ROLE ann;
SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
SELECT is((SELECT id FROM llm_store.model WHERE name = 'tiny'), :id, 'it returns the id of the model');
SELECT is((SELECT owner::text FROM llm.models WHERE name = 'tiny'), 'ann', 'the model belongs to who published it');
SELECT is((SELECT count(*) FROM llm.tensors WHERE model = 'tiny'), 11::bigint, 'with its tensors');
SELECT is((SELECT count(*) FROM llm_store.file_segment WHERE model_id = :id), 2::bigint, 'and its file');
SELECT throws_ok(
    $$SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer())$$,
    '42710', 'model "tiny" already exists', 'a name is not taken twice');
SELECT isnt(
    llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer(), replace => TRUE), :id,
    'unless it is to be replaced, by a model of its own');
SELECT throws_ok(
    $$SELECT llm_store.publish('', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer())$$,
    '22023', '"" is not a name for a model', 'a name is not empty');
SELECT throws_ok(
    $$SELECT llm_store.publish(repeat('a', 101), pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer())$$,
    '22023', NULL, 'nor longer than 100 characters');
SELECT throws_ok(
    $$SELECT llm_store.publish('a b', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer())$$,
    '22023', '"a b" is not a name for a model', 'nor with a space');
SELECT throws_ok(
    $$SELECT llm_store.publish('other', NULL, pg_temp.tiny_tokenizer())$$,
    '22023', 'a model needs a manifest and a tokenizer', 'NULL is no manifest');
SELECT throws_ok(
    $$SELECT llm_store.publish('other', pg_temp.tiny_manifest(), '{}')$$,
    'XX001', NULL, 'a tokenizer that cannot be read is refused');
SELECT throws_ok(
    $$SELECT llm_store.publish(
        'other', jsonb_set(pg_temp.tiny_manifest(), '{files,0,segments,0,tile}', to_jsonb(repeat('0', 64))),
        pg_temp.tiny_tokenizer())$$,
    '42704', 'a tile of file "tiny.gguf" is not stored', 'so is a file with a tile that is missing');
SELECT is_empty($$SELECT FROM llm.models WHERE name = 'other'$$, 'nothing remains of what was refused');
SET LOCAL ROLE llm_user;
SELECT throws_ok(
    $$SELECT llm_store.publish('other', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer())$$, '42501', NULL,
    'a user may not publish');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
