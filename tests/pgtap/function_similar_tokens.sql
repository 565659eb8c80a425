BEGIN;
SELECT plan(6);

\ir tiny_model.psql

SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
SELECT set_config('llm.engine', 'numpy', TRUE) AS engine \gset
SELECT results_eq(
    $$SELECT rank, token_id, token FROM llm.similar_tokens('ab', 2, 'tiny')$$,
    $$VALUES (1, 0, 'a'), (2, 1, 'b')$$, 'equal tokens rank by id, and the token itself is not among them');
SELECT is_empty($$SELECT * FROM llm.similar_tokens(NULL::text, 3, 'tiny')$$, 'NULL gives no rows');
SELECT throws_ok($$SELECT llm.similar_tokens('a', 0, 'tiny')$$, '22023', NULL, 'none is refused');
SELECT throws_ok(
    $$SELECT llm.similar_tokens('a', 3, 'no such model')$$,
    '42704', NULL, 'a model that is not there is an error');
SELECT function_privs_are('llm', 'similar_tokens', ARRAY['text', 'integer', 'text'], 'llm_user', ARRAY['EXECUTE']);
CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok(
    $$SELECT llm.similar_tokens('a', 3, 'no such model')$$, '42501', NULL, 'a role without rights may not'
);
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
