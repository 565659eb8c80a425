BEGIN;
SELECT plan(2);

SELECT function_privs_are('llm', 'warm_up', ARRAY['boolean'], 'llm_user', '{}', 'who generates may not compile');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.warm_up()', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
