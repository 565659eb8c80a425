BEGIN;
SELECT plan(5);

SELECT is_empty('SELECT * FROM llm.generate_many(NULL)', 'NULL gives no rows');
SELECT throws_ok(
    $$SELECT * FROM llm.generate_many(ARRAY['a'], model => 'no such model')$$,
    '42704', 'llm: model "no such model" does not exist', 'a model that is not there is an error');
SELECT throws_ok(
    $$SELECT * FROM llm.generate_many(ARRAY[['a'], ['b']])$$,
    '22023', 'llm: argument prompts does not fit', 'an array of two dimensions is an error');
SELECT throws_ok(
    $$SELECT * FROM llm.generate_many(ARRAY['a'], temperature => -1)$$,
    '22023', NULL, 'arguments are checked as llm.generate checks them');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT * FROM llm.generate_many(NULL)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
