BEGIN;
SELECT plan(4);

SELECT is(llm_store.forget_packed(NULL), 0::bigint, 'NULL removes nothing');
SELECT is(llm_store.forget_packed('{}'), 0::bigint, 'nor does an empty array');
SELECT is(llm_store.forget_packed(ARRAY[sha256('no tensor')]), 0::bigint, 'nor a tensor that was never packed');
SET LOCAL ROLE llm_user;
SELECT throws_ok($$SELECT llm_store.forget_packed('{}')$$, '42501', NULL, 'a user may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
