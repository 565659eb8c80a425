BEGIN;
SELECT plan(3);

SELECT ok(llm.attention(NULL, NULL, NULL, NULL, 0, ARRAY[0]) IS NULL, 'NULL gives NULL');
SELECT throws_ok(
    $$SELECT llm.attention('\x', '\x', '\x', NULL, 0, ARRAY[0], 'no such model')$$,
    '42704', NULL, 'a model that is not there is an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok(
    'SELECT llm.attention(NULL, NULL, NULL, NULL, NULL, NULL)',
    '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
