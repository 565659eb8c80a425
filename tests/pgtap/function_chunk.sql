BEGIN;
SELECT plan(3);

SELECT is_empty('SELECT * FROM llm.chunk(NULL)', 'NULL has no chunks');
SELECT throws_ok(
    $$SELECT * FROM llm.chunk('a', 'no such model')$$,
    '42704', NULL, 'a model that is not there is an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.chunk(NULL)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
