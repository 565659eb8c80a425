BEGIN;
SELECT plan(2);

SELECT is(
    (SELECT s.prefilled FROM llm.generation_stats() AS s), NULL, 'a session that generated nothing has no figures');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.generation_stats()', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
