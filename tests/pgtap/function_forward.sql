BEGIN;
SELECT plan(3);

SELECT function_lang_is('llm', 'forward', 'plpgsql', 'the plan of the query is kept');
SELECT throws_ok(
    $$SELECT llm.forward(ARRAY[1], 'no such model')$$,
    '42704', 'llm: model "no such model" does not exist', 'a model that is not there is an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.forward(ARRAY[1])', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
