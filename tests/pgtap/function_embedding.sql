BEGIN;
SELECT plan(3);

SELECT ok(llm.embedding(NULL::integer[]) IS NULL, 'NULL gives NULL');
SELECT throws_ok(
    $$SELECT llm.embedding(ARRAY[1], 'no such model')$$,
    '42704', NULL, 'a model that is not there is an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.embedding(NULL::integer[])', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
