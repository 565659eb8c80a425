BEGIN;
SELECT plan(3);

PREPARE nothing AS
SELECT c.text FROM llm_runtime.chat(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) AS c;
SELECT results_eq('nothing', 'VALUES (NULL::text)', 'NULL gives NULL');
SELECT is(llm_runtime.chat_prompt(NULL, NULL, NULL, NULL), NULL, 'NULL gives NULL as a prompt');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('nothing', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
