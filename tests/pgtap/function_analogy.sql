BEGIN;
SELECT plan(6);

\ir tiny_model.psql

SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
SELECT set_config('llm.engine', 'numpy', TRUE) AS engine \gset
SELECT results_eq(
    $$SELECT rank, token_id FROM llm.analogy('a', 'b', 'ab', 4, 'tiny')$$,
    $$VALUES (1, 3)$$, 'the three themselves are left out');
SELECT is_empty($$SELECT * FROM llm.analogy('a', NULL, 'b', 3, 'tiny')$$, 'NULL gives no rows');
SELECT throws_ok($$SELECT llm.analogy('a', 'b', 'x', 1, 'tiny')$$, '42704', NULL, 'each is a token');
SELECT throws_ok(
    $$SELECT llm.analogy('a', 'b', 'c', 3, 'no such model')$$,
    '42704', NULL, 'a model that is not there is an error');
SELECT function_privs_are(
    'llm', 'analogy', ARRAY['text', 'text', 'text', 'integer', 'text'], 'llm_user', ARRAY['EXECUTE']
);
CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok(
    $$SELECT llm.analogy('a', 'b', 'c', 3, 'no such model')$$, '42501', NULL, 'a role without rights may not'
);
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
