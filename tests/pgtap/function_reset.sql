BEGIN;
SELECT plan(3);

SELECT lives_ok('SELECT llm.reset()', 'a session that holds nothing frees nothing');
SELECT is((SELECT s.generated FROM llm.generation_stats() AS s), NULL, 'figures are gone');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.reset()', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
