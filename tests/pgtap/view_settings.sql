BEGIN;
SELECT plan(5);

SELECT set_config('llm.batch_mb', '100', TRUE) \gset
SELECT results_eq(
    $$SELECT s.value, s.unit, s."default" FROM llm.settings AS s WHERE s.name = 'llm.batch_mb'$$,
    $$VALUES ('100', 'MB', '512')$$, 'a setting has the value of the session');
SELECT set_config('llm.batch_mb', '', TRUE) \gset
SELECT results_eq(
    $$SELECT s.value FROM llm.settings AS s WHERE s.name = 'llm.batch_mb'$$, ARRAY['512'],
    'one that is not set has its default');
SELECT is_empty($$SELECT 1 FROM llm.settings AS s WHERE s.meaning IS NULL$$, 'each has a meaning');
SELECT throws_ok('SET llm.no_such_setting = 1', '42602', NULL, 'an unknown name is refused');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT * FROM llm.settings', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
