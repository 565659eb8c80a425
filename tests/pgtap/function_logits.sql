BEGIN;
SELECT plan(3);

SELECT is_empty('SELECT * FROM llm.logits(NULL)', 'NULL gives no rows');
SELECT throws_ok(
    $$SELECT * FROM llm.logits(ARRAY[1], model => 'no such model')$$,
    '42704', NULL, 'a model that is not there is an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.logits(NULL::integer[])', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
