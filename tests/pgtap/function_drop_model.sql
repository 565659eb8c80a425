BEGIN;
SELECT plan(5);

\ir tiny_model.psql

CREATE ROLE ann IN ROLE llm_loader;
CREATE ROLE bob IN ROLE llm_loader;
SET LOCAL ROLE ann;
SELECT llm_store.publish('hers', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) \gset
SET LOCAL ROLE bob;
SELECT throws_ok(
    $$SELECT llm.drop_model('hers')$$, '42501', 'must be owner of model "hers"', 'bob may not drop the model of ann');
SET LOCAL ROLE ann;
SELECT lives_ok($$SELECT llm.drop_model('hers')$$, 'ann may');
SELECT is_empty($$SELECT FROM llm.models WHERE name = 'hers'$$, 'then it is gone');
SELECT throws_ok($$SELECT llm.drop_model('hers')$$, '42704', 'model "hers" does not exist', 'twice is an error');
SELECT throws_ok($$SELECT llm.drop_model(NULL)$$, '42704', 'no model is named', 'so is NULL');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
