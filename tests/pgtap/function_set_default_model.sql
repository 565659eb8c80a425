BEGIN;
SELECT plan(11);

\ir tiny_model.psql

\ir no_models.psql
CREATE ROLE ann IN ROLE llm_loader;
CREATE ROLE bob IN ROLE llm_loader;
CREATE ROLE keeper IN ROLE llm_owner;
SET LOCAL ROLE ann;
SELECT llm_store.publish('hers', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) \gset
SET LOCAL ROLE bob;
SELECT llm_store.publish('his', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) \gset
SELECT results_eq('SELECT name FROM llm.models WHERE is_default', ARRAY['hers'], 'the first model is the default');
SELECT throws_ok(
    $$SELECT llm.set_default_model('his')$$,
    '42501', 'must be owner of the default decoder, "hers"', 'nobody takes the default from another');
SELECT is_empty(
    $$UPDATE llm_store.default_model SET model_id = NULL RETURNING kind$$, 'not by the table either');
SET LOCAL ROLE ann;
SELECT lives_ok($$SELECT llm.set_default_model('his')$$, 'its owner hands it on, to anybody');
SELECT results_eq('SELECT name FROM llm.models WHERE is_default', ARRAY['his'], 'the flag moves, and there is one');
SELECT throws_ok(
    $$SELECT llm.set_default_model('none')$$, '42704', 'model "none" does not exist',
    'a model that is not there is an error');
SELECT throws_ok(
    $$SELECT llm.set_default_model('his', 'reranker')$$, '22023', 'there is no kind of model "reranker"',
    'an unknown kind is an error');
SELECT throws_ok(
    $$SELECT llm.set_default_model('his', 'encoder')$$, '42809', 'model "his" is no encoder',
    'so is a model of another kind');
SET LOCAL ROLE keeper;
SELECT lives_ok($$SELECT llm.set_default_model('his', 'decoder')$$, 'the kind may be said');
SELECT lives_ok($$SELECT llm.set_default_model('hers')$$, 'a member of llm_owner may always');
SET LOCAL ROLE ann;
SELECT llm.drop_model('hers') \gset
SET LOCAL ROLE bob;
SELECT lives_ok($$SELECT llm.set_default_model('his')$$, 'while there is no default, a loader may choose one');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
