BEGIN;
SELECT plan(3);

SELECT is_empty($$SELECT * FROM llm.classify_details(NULL, ARRAY['a'])$$, 'NULL gives no rows');
SELECT throws_ok($$SELECT * FROM llm.classify_details('a', '{}')$$, '22023', NULL, 'there is at least one label');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.classify_details(NULL, NULL)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
