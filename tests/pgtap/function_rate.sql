BEGIN;
SELECT plan(4);

SELECT ok(llm.rate(NULL, 'short') IS NULL, 'NULL gives NULL');
SELECT ok(llm.rate('a', NULL) IS NULL, 'a criterion that is NULL gives NULL');
SELECT throws_ok(
    $$SELECT llm.rate('a', 'b', options => '{"on_error": "no"}')$$,
    '22023', NULL, 'options are checked');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.rate(NULL, NULL)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
