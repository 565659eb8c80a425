BEGIN;
SELECT plan(5);

SELECT ok(llm.matches(NULL, 'short') IS NULL, 'NULL gives NULL');
SELECT ok(llm.matches('a', NULL) IS NULL, 'a condition that is NULL gives NULL');
SELECT throws_ok(
    $$SELECT llm.matches('a', 'b', certainty => 0.4)$$,
    '22023', 'llm: certainty is out of range', 'certainty is at least a half');
SELECT throws_ok(
    $$SELECT llm.matches('a', 'b', 'no such model')$$,
    '42704', 'llm: model "no such model" does not exist', 'a model that is not there is an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.matches(NULL, NULL)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
