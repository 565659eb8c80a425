BEGIN;
SELECT plan(4);

\ir tiny_model.psql

CREATE ROLE ann IN ROLE llm_loader;
CREATE ROLE bob IN ROLE llm_loader;
SET LOCAL ROLE ann;
SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
SELECT is(llm_store.store_tile('abc'), sha256('abc'), 'it returns the hash');
SELECT is(llm_store.store_tile('abc'), sha256('abc'), 'also when the tile is there');
SELECT is((SELECT count(*) FROM llm_store.tile WHERE content = 'abc'), 1::bigint, 'which is stored once');
SET LOCAL ROLE llm_user;
SELECT throws_ok($$SELECT llm_store.store_tile('abc')$$, '42501', NULL, 'a user may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
