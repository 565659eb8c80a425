BEGIN;
SELECT plan(4);

SELECT is_empty($$SELECT * FROM llm.matches_query(NULL, 'a')$$, 'NULL gives no rows');
SELECT throws_ok(
    $$SELECT * FROM llm.matches_query('SELECT 1, 2', 'a', model => 'no such model')$$,
    '42704', 'llm: model "no such model" does not exist', 'a model that is not there is an error');
SELECT throws_ok(
    $$SELECT * FROM llm.matches_query('SELECT 1, 2', 'a', options => '{"a": 1}')$$,
    '22023', NULL, 'options are checked');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT * FROM llm.matches_query(NULL, NULL)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
