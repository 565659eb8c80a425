BEGIN;
SELECT plan(2);

SELECT throws_ok(
    $$SELECT llm_store.raise_late('["53400", "nothing is left", null, null]')$$, '53400', 'llm: nothing is left',
    'an error is raised as it was');
CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok($$SELECT llm_store.raise_late('')$$, '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
