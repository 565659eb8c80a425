BEGIN;
SELECT plan(4);

CREATE TYPE stay AS (nights integer, kind text);

SELECT ok(llm.generate_row(NULL, 'stay') IS NULL, 'NULL gives NULL');
SELECT throws_ok(
    $$SELECT llm.generate_row('a', 'integer')$$,
    '22023', 'llm: argument type does not fit', 'a number is no row');
SELECT throws_ok(
    $$SELECT llm.generate_row('a', 'stay', model => 'no such model')$$,
    '42704', 'llm: model "no such model" does not exist', 'a model that is not there is an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok($$SELECT llm.generate_row(NULL, 'integer')$$, '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
