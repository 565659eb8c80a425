BEGIN;
SELECT plan(6);

SELECT ok(llm_store.forward_tokens(NULL, NULL, 0) IS NULL, 'NULL gives NULL');
SELECT is(llm_store.forward_tokens(ARRAY[3, 1], NULL, 0), ARRAY[3, 1], 'tokens are left as they are');
SELECT is(llm_store.forward_tokens(ARRAY[3, 1], 1, 5), ARRAY[3, 1], 'a KV cache may hold tokens before them');
SELECT throws_ok(
    'SELECT llm_store.forward_tokens(ARRAY[[3, 1]], NULL, 0)',
    '22023', 'llm: tokens is out of range', 'an array of two dimensions is an error');
SELECT throws_ok(
    'SELECT llm_store.forward_tokens(ARRAY[3], NULL, 5)',
    '22023', 'llm: start is 5 and there is no KV cache', 'what came before must be somewhere');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm_store.forward_tokens(NULL, NULL, 0)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
