BEGIN;
SELECT plan(2);

SELECT ok(llm_store.answer_texts('summarize', ARRAY[NULL], NULL) IS NULL, 'no texts have no answer');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok(
    'SELECT llm_store.answer_texts(''summarize'', NULL, NULL)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
