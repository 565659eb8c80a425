BEGIN;
SELECT plan(3);

SELECT ok(llm.summarize(NULL) IS NULL, 'NULL gives NULL');
SELECT throws_ok(
    $$SELECT llm.summarize('a', 'no such model')$$, '42704', NULL, 'a model that is not there is an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.summarize(NULL)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
