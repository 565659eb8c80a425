BEGIN;
SELECT plan(2);

PREPARE nothing AS
SELECT g.text FROM llm_runtime.generate(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) AS g;
SELECT results_eq('nothing', 'VALUES (NULL::text)', 'NULL gives NULL');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('nothing', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
