BEGIN;
SELECT plan(2);

SELECT is_empty(
    $$SELECT 1 FROM llm.cache AS c WHERE c.tensors > c.of_tensors AND c.model IS NOT NULL$$,
    'no model has more packed tensors than tensors');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT * FROM llm.cache', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
