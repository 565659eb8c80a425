BEGIN;
SELECT plan(6);

SELECT is_empty('SELECT * FROM llm.generate_stream(NULL)', 'NULL gives no rows');
SELECT throws_ok(
    $$SELECT * FROM llm.generate_stream('a', model => 'no such model')$$,
    '42704', 'llm: model "no such model" does not exist', 'a model that is not there is an error');
SELECT throws_ok(
    $$SELECT * FROM llm.generate_stream('a', temperature => -1)$$,
    '22023', NULL, 'arguments are checked as llm.generate checks them');
SELECT throws_ok(
    $$SELECT * FROM llm.generate_stream('a', options => '{"no such option": 1}')$$,
    '22023', NULL, 'options are checked as llm.generate checks them');
SELECT volatility_is('llm', 'generate_stream', 'stable', 'the planner can put its query in the place of a call');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT * FROM llm.generate_stream(NULL)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
