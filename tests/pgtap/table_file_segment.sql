BEGIN;
SELECT plan(8);

\ir tiny_model.psql

SELECT columns_are('llm_store', 'file_segment', ARRAY['model_id', 'path', 'ordinal', 'tensor_name', 'tile_hash']);
SELECT table_privs_are('llm_store', 'file_segment', 'llm_user', ARRAY['SELECT']);
CREATE ROLE ann IN ROLE llm_loader;
CREATE ROLE bob IN ROLE llm_loader;
SET LOCAL ROLE ann;
SELECT lives_ok(
    $$SELECT llm_store.publish('hers', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer())$$, 'ann loads a model');
SELECT throws_ok(
    $$INSERT INTO llm_store.file_segment (model_id, path, ordinal, tensor_name, tile_hash)
    SELECT f.model_id, f.path, 98, f.tensor_name, t.hash FROM llm_store.file_segment AS f, llm_store.tile AS t
    WHERE f.tensor_name IS NOT NULL LIMIT 1$$,
    '23514', NULL, 'a segment is not both a tensor and a tile');
SELECT lives_ok(
    $$INSERT INTO llm_store.file_segment (model_id, path, ordinal)
    SELECT id, 'empty.json', 0 FROM llm_store.model WHERE name = 'hers'$$,
    'an empty file is a segment of nothing');
SET LOCAL ROLE bob;
SELECT isnt_empty('SELECT FROM llm_store.file_segment', 'bob sees its rows');
SELECT throws_ok(
    $$INSERT INTO llm_store.file_segment (model_id, path, ordinal, tile_hash) SELECT model_id, path, 99, tile_hash
    FROM llm_store.file_segment LIMIT 1$$,
    '42501', NULL, 'bob adds nothing to the model of ann');
SELECT is_empty('DELETE FROM llm_store.file_segment RETURNING 1', 'and takes nothing from it');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
