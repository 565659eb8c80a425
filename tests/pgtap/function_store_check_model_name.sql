BEGIN;
SELECT plan(8);

\ir tiny_model.psql

CREATE ROLE ann IN ROLE llm_loader;
CREATE ROLE bob IN ROLE llm_loader;
SET LOCAL ROLE ann;
SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
SELECT lives_ok($$SELECT llm_store.check_model_name('other')$$, 'a free name is fine');
SELECT throws_ok(
    $$SELECT llm_store.check_model_name('')$$, '22023', '"" is not a name for a model', 'a name is not empty');
SELECT throws_ok(
    $$SELECT llm_store.check_model_name(repeat('a', 101))$$, '22023', NULL, 'nor longer than 100 characters');
SELECT throws_ok(
    $$SELECT llm_store.check_model_name('a b')$$, '22023', '"a b" is not a name for a model', 'nor with a space');
SELECT throws_ok($$SELECT llm_store.check_model_name(NULL)$$, '22023', 'a model needs a name', 'nor NULL');
SELECT throws_ok(
    $$SELECT llm_store.check_model_name('tiny')$$, '42710', 'model "tiny" already exists', 'a taken name is refused');
SELECT lives_ok(
    $$SELECT llm_store.check_model_name('tiny', replace => TRUE)$$, 'unless it is one''s own, to be replaced');
SET LOCAL ROLE bob;
SELECT throws_ok(
    $$SELECT llm_store.check_model_name('tiny', replace => TRUE)$$,
    '42501', 'must be owner of model "tiny"', 'another''s is not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
