BEGIN;
SELECT plan(6);

\ir tiny_model.psql

SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
SELECT set_config('llm.engine', 'numpy', TRUE) AS engine \gset
SELECT results_eq(
    $$SELECT rank, token_id FROM llm.analogy(0, 0, 1, 4, 'tiny')$$,
    $$VALUES (1, 2), (2, 3)$$, 'the same token may stand twice');
SELECT is_empty($$SELECT * FROM llm.analogy(NULL, 1, 2, 3, 'tiny')$$, 'NULL gives no rows');
SELECT throws_ok($$SELECT llm.analogy(0, 1, 4, 1, 'tiny')$$, '22023', NULL, 'there are four tokens');
SELECT throws_ok(
    $$SELECT llm.analogy(1, 2, 3, 4, 'no such model')$$,
    '42704', NULL, 'a model that is not there is an error');
SELECT function_privs_are(
    'llm', 'analogy', ARRAY['integer', 'integer', 'integer', 'integer', 'text'], 'llm_user', ARRAY['EXECUTE']
);
CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok($$SELECT llm.analogy(1, 2, 3, 4, 'no such model')$$, '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
