BEGIN;
SELECT plan(2);

SELECT results_eq(
    'SELECT s.name FROM llm_runtime.settings() AS s', 'SELECT s.name FROM llm.settings AS s', 'the view has its rows');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm_runtime.settings()', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
