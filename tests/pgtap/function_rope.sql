BEGIN;
SELECT plan(3);

SELECT ok(llm.rope(NULL, ARRAY[0]) IS NULL, 'NULL gives NULL');
SELECT throws_ok(
    $$SELECT llm.rope('\x00000000', ARRAY[0], 'no such model')$$,
    '42704', NULL, 'a model that is not there is an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.rope(NULL::bytea, NULL::integer[])', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
