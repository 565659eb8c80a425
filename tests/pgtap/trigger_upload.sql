BEGIN;
SELECT plan(5);

SELECT trigger_is(
    'llm_store', 'upload', 'upload', 'llm_store', 'upload_tile', 'rows that are copied go through the trigger');
SET LOCAL ROLE llm_loader;
INSERT INTO llm_store.upload (content) VALUES ('one'), ('two'), ('one');
SELECT is_empty(
    'SELECT content FROM llm_store.tile WHERE hash = sha256(''three'')', 'what is not uploaded is not there');
SELECT results_eq(
    $$SELECT count(*) FROM llm_store.tile WHERE hash IN (sha256('one'), sha256('two'))$$, ARRAY[2::bigint],
    'equal tiles are stored once');
SELECT throws_ok('INSERT INTO llm_store.upload (content) VALUES (NULL)', '23502', NULL, 'a tile is not NULL');
RESET ROLE;
SELECT is_empty('SELECT content FROM llm_store.upload', 'the view shows nothing');

SELECT * FROM finish();
ROLLBACK;
