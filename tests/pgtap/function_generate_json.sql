BEGIN;
SELECT plan(4);

SELECT ok(llm.generate_json(NULL, '{}') IS NULL, 'NULL gives NULL');
SELECT throws_ok(
    $$SELECT llm.generate_json('a', '{}', model => 'no such model')$$,
    '42704', 'llm: model "no such model" does not exist', 'a model that is not there is an error');
SELECT throws_ok(
    $$SELECT llm.generate_json('a', NULL)$$,
    '22023', 'llm: argument options.schema does not fit', 'NULL is no constraint');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok($$SELECT llm.generate_json(NULL, '{}')$$, '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
