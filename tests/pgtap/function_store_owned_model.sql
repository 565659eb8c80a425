BEGIN;
SELECT plan(4);

\ir tiny_model.psql

CREATE ROLE ann IN ROLE llm_loader;
CREATE ROLE bob IN ROLE llm_loader;
SET LOCAL ROLE ann;
SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
SELECT is(llm_store.owned_model('tiny'), :id, 'a model of one''s own is found');
SET LOCAL ROLE bob;
SELECT throws_ok(
    $$SELECT llm_store.owned_model('tiny')$$, '42501', 'must be owner of model "tiny"', 'another''s is refused');
SELECT throws_ok(
    $$SELECT llm_store.owned_model('nothing')$$, '42704', 'model "nothing" does not exist', 'so is none');
SELECT throws_ok($$SELECT llm_store.owned_model(NULL)$$, '42704', 'no model is named', 'and NULL');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
