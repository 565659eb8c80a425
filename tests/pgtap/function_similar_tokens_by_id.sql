BEGIN;
SELECT plan(6);

\ir tiny_model.psql

SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
SELECT set_config('llm.engine', 'numpy', TRUE) AS engine \gset
SELECT results_eq(
    $$SELECT rank, token_id, round(similarity::numeric, 12) FROM llm.similar_tokens(0, 4, 'tiny')$$,
    $$VALUES (1, 1, 1::numeric), (2, 2, 1), (3, 3, 1)$$, 'there are no more than there are');
SELECT is_empty($$SELECT * FROM llm.similar_tokens(NULL::integer, 3, 'tiny')$$, 'NULL gives no rows');
SELECT throws_ok($$SELECT llm.similar_tokens(4, 1, 'tiny')$$, '22023', NULL, 'there are four tokens');
SELECT throws_ok(
    $$SELECT llm.similar_tokens(1, 3, 'no such model')$$,
    '42704', NULL, 'a model that is not there is an error');
SELECT function_privs_are('llm', 'similar_tokens', ARRAY['integer', 'integer', 'text'], 'llm_user', ARRAY['EXECUTE']);
CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok($$SELECT llm.similar_tokens(1, 3, 'no such model')$$, '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
