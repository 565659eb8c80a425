BEGIN;
SELECT plan(5);

\ir tiny_model.psql

SELECT columns_are('llm_store', 'tensor_tile', ARRAY['tensor_hash', 'ordinal', 'tile_hash']);
SELECT table_privs_are('llm_store', 'tensor_tile', 'llm_loader', ARRAY['SELECT'], 'immutable for a loader');
SELECT fk_ok('llm_store', 'tensor_tile', 'tile_hash', 'llm_store', 'tile', 'hash');
SELECT lives_ok(
    $$SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer())$$, 'a model is stored');
SELECT throws_ok(
    'DELETE FROM llm_store.tile WHERE hash = sha256(pg_temp.ones(4))', '23503', NULL,
    'a tile that a tensor needs cannot go');

SELECT * FROM finish();
ROLLBACK;
