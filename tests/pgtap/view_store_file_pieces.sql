BEGIN;
SELECT plan(5);

\ir tiny_model.psql

CREATE ROLE ann IN ROLE llm_loader;
SET LOCAL ROLE ann;
SELECT lives_ok(
    $$SELECT llm_store.publish('tiny', jsonb_insert(
        pg_temp.tiny_manifest(), '{files,0}', '{"path": "empty.json", "segments": []}'), pg_temp.tiny_tokenizer())$$,
    'a model of two files, one of them empty');
RESET ROLE;
SET LOCAL ROLE llm_user;
SELECT results_eq(
    $$SELECT path, segment, piece, tensor FROM llm_store.file_pieces WHERE model = 'tiny'
        ORDER BY path, segment, piece$$,
    $$VALUES ('empty.json', 0, 0, NULL), ('tiny.gguf', 0, 0, NULL), ('tiny.gguf', 1, 0, 'token_embd.weight')$$,
    'a user reads a row for each piece, and one for the empty file');
SELECT is(
    (
        SELECT string_agg(content, '' ORDER BY segment, piece) FROM llm_store.file_pieces
        WHERE model = 'tiny' AND path = 'tiny.gguf'
    ),
    'head'::bytea || pg_temp.ones(8), 'whose contents are the file');
SELECT is_empty(
    $$SELECT FROM llm_store.file_pieces WHERE model = 'tiny' AND hash IS DISTINCT FROM sha256(content)$$,
    'each has the hash of its content');
RESET ROLE;
CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT FROM llm_store.file_pieces', '42501', NULL, 'a role without rights reads nothing');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
