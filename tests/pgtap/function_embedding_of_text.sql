BEGIN;
SELECT plan(6);

\ir tiny_model.psql

SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
SELECT set_config('llm.engine', 'numpy', TRUE) AS engine \gset
SELECT is(llm.embedding('ab', 'tiny'), pg_temp.ones(2), 'a token is found by its text');
SELECT throws_ok($$SELECT llm.embedding('abc', 'tiny')$$, '42704', 'llm: model "tiny" has no token "abc"', 'exactly');
SELECT throws_ok($$SELECT llm.embedding('', 'tiny')$$, '42704', NULL, 'a padded row is no token of empty text');
SELECT throws_ok(
    $$SELECT llm.embedding('a', 'no such model')$$,
    '42704', NULL, 'a model that is not there is an error');
SELECT function_privs_are('llm', 'embedding', ARRAY['text', 'text'], 'llm_user', ARRAY['EXECUTE']);
CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok($$SELECT llm.embedding('a', 'no such model')$$, '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
