BEGIN;
SELECT plan(2);

SELECT is_empty('SELECT * FROM llm_store.matches_query_rows(NULL, NULL, NULL, NULL, NULL)', 'NULL gives no rows');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok(
    'SELECT * FROM llm_store.matches_query_rows(NULL, NULL, NULL, NULL, NULL)',
    '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
