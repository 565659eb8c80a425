BEGIN;
SELECT plan(6);

\ir tiny_model.psql

SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
SELECT set_config('llm.engine', 'numpy', TRUE) AS engine \gset
SELECT is(llm.embedding(2, 'tiny'), pg_temp.ones(2), 'a token is its row');
SELECT ok(llm.embedding(NULL::integer, 'tiny') IS NULL, 'NULL gives NULL');
SELECT throws_ok($$SELECT llm.embedding(4, 'tiny')$$, '22023', NULL, 'there are four tokens');
SELECT throws_ok(
    $$SELECT llm.embedding(0, 'no such model')$$,
    '42704', NULL, 'a model that is not there is an error');
SELECT function_privs_are('llm', 'embedding', ARRAY['integer', 'text'], 'llm_user', ARRAY['EXECUTE']);
CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok($$SELECT llm.embedding(0, 'no such model')$$, '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
