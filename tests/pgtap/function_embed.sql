BEGIN;
SELECT plan(3);

SELECT ok(llm.embed(NULL) IS NULL, 'NULL gives NULL');
SELECT throws_ok(
    $$SELECT llm.embed('a', 'no such model')$$,
    '42704', NULL, 'a model that is not there is an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.embed(NULL)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
