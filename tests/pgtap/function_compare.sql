BEGIN;
SELECT plan(4);

SELECT is_empty('SELECT * FROM llm.compare(''a'', NULL)', 'no models give no rows');
SELECT is_empty($$SELECT * FROM llm.compare('a', '{}')$$, 'an empty array gives no rows');
SELECT throws_ok(
    $$SELECT * FROM llm.compare('a', ARRAY['no such model'])$$,
    '42704', 'llm: model "no such model" does not exist', 'a model that is not there is an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.compare(NULL, NULL)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
