BEGIN;
SELECT plan(3);

\ir tiny_model.psql

CREATE ROLE ann IN ROLE llm_loader;
SET LOCAL ROLE ann;
SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
SELECT name AS tensor FROM llm.tensors WHERE model = 'tiny' ORDER BY name LIMIT 1 \gset
SELECT llm_store.add_files(:id, jsonb_build_array(
    jsonb_build_object('path', 'empty', 'segments', '[]'::jsonb),
    jsonb_build_object('path', 'one', 'segments', jsonb_build_array(jsonb_build_object('tensor', :'tensor')))));
SELECT results_eq(
    format(
        $$SELECT path, ordinal, tensor_name, tile_hash FROM llm_store.file_segment
        WHERE model_id = %s AND path IN ('empty', 'one') ORDER BY path$$, :id),
    format($$VALUES ('empty', 0, NULL, NULL::bytea), ('one', 0, %L, NULL)$$, :'tensor'),
    'files are sequences of segments, an empty one of a segment that is nothing');
SELECT throws_ok(
    format(
        $$SELECT llm_store.add_files(%s, jsonb_build_array(jsonb_build_object(
            'path', 'bad', 'segments', jsonb_build_array(jsonb_build_object('tile', repeat('0', 64))))))$$, :id),
    '42704', 'a tile of file "bad" is not stored', 'a tile that is missing is named with its file');
SET LOCAL ROLE llm_user;
SELECT throws_ok(
    format('SELECT llm_store.add_files(%s, ''[]'')', :id), '42501', NULL, 'a user may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
