BEGIN;
SELECT plan(2);

SELECT throws_ok(
    $$SELECT llm.architecture('no such model')$$,
    '42704', NULL, 'a model that is not there is an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.architecture()', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
