BEGIN;
SELECT plan(4);

SELECT is_empty('SELECT * FROM llm.generate_query(NULL)', 'NULL gives no rows');
SELECT throws_ok(
    $$SELECT * FROM llm.generate_query('SELECT 1, 2', model => 'no such model')$$,
    '42704', 'llm: model "no such model" does not exist', 'a model that is not there is an error');
SELECT throws_ok(
    $$SELECT * FROM llm.generate_query('SELECT 1, 2', top_p => 2)$$,
    '22023', NULL, 'arguments are checked as llm.generate checks them');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT * FROM llm.generate_query(NULL)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
