BEGIN;
SELECT plan(3);

SELECT ok(llm.count_tokens(NULL) IS NULL, 'NULL gives NULL');
SELECT throws_ok(
    $$SELECT llm.count_tokens('a', 'no such model')$$,
    '42704', 'llm: model "no such model" does not exist', 'a model that is not there is an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.count_tokens(NULL::text)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
