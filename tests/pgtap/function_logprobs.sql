BEGIN;
SELECT plan(3);

SELECT is_empty('SELECT * FROM llm.logprobs(NULL)', 'NULL gives no rows');
SELECT throws_ok(
    $$SELECT * FROM llm.logprobs('a', 'no such model')$$,
    '42704', 'llm: model "no such model" does not exist', 'a model that is not there is an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.logprobs(NULL::text)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
