BEGIN;
SELECT plan(7);

\ir tiny_model.psql

SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) \gset

SELECT ok(llm_store.forward_tokens(NULL, NULL, 0, 'tiny') IS NULL, 'NULL gives NULL');
SELECT is(llm_store.forward_tokens(ARRAY[3, 1], NULL, 0, 'tiny'), ARRAY[3, 1], 'tokens are left as they are');
SELECT is(llm_store.forward_tokens(ARRAY[3, 1], 1, 5, 'tiny'), ARRAY[3, 1], 'a KV cache may hold tokens before them');
SELECT throws_ok(
    $$SELECT llm_store.forward_tokens(ARRAY[[3, 1]], NULL, 0, 'tiny')$$,
    '22023', 'llm: argument tokens does not fit', 'an array of two dimensions is an error');
SELECT throws_ok(
    $$SELECT llm_store.forward_tokens(ARRAY[3], NULL, 5, 'tiny')$$,
    '22023', 'llm: start is 5 and there is no KV cache', 'what came before must be somewhere');
SELECT throws_ok(
    $$SELECT llm_store.forward_tokens(array_fill(1, ARRAY[100000]), NULL, 0, 'tiny')$$,
    '53400', NULL, 'more than the context holds is an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok(
    $$SELECT llm_store.forward_tokens(NULL, NULL, 0, 'tiny')$$, '42501', NULL, 'a role without rights may not'
);
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
