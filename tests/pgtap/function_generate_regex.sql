BEGIN;
SELECT plan(4);

SELECT ok(llm.generate_regex(NULL, 'a') IS NULL, 'NULL gives NULL');
SELECT throws_ok(
    $$SELECT llm.generate_regex('a', 'a', model => 'no such model')$$,
    '42704', 'llm: model "no such model" does not exist', 'a model that is not there is an error');
SELECT throws_ok(
    $$SELECT llm.generate_regex('a', NULL)$$,
    '22023', 'llm: argument options.regex does not fit', 'NULL is no constraint');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok($$SELECT llm.generate_regex(NULL, 'a')$$, '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
