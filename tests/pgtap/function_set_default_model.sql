BEGIN;
SELECT plan(4);

\ir tiny_model.psql

SET LOCAL ROLE llm_loader;
SELECT llm.publish('one', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) \gset
SELECT llm.publish('two', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) \gset
SELECT lives_ok($$SELECT llm.set_default_model('two')$$, 'a default is chosen');
SELECT results_eq('SELECT name FROM llm.models WHERE is_default', ARRAY['two'], 'there is one default');
SELECT llm.set_default_model('one') \gset
SELECT results_eq('SELECT name FROM llm.models WHERE is_default', ARRAY['one'], 'the flag moves');
SELECT throws_ok(
    $$SELECT llm.set_default_model('none')$$, '42704', 'model "none" does not exist',
    'a model that is not there is an error');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
