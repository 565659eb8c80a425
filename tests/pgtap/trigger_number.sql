BEGIN;
SELECT plan(2);

SELECT lives_ok('INSERT INTO llm_store.number (n) VALUES (1), (262144)', 'a number that is there is left out');
SELECT results_eq(
    'SELECT n FROM llm_store.number WHERE n IN (1, 262144) ORDER BY n', 'VALUES (1), (262144)',
    'and one that is not is added');

SELECT * FROM finish();
ROLLBACK;
