BEGIN;
SELECT plan(3);

SELECT function_privs_are('llm', 'pack', ARRAY['text'], 'llm_user', ARRAY['EXECUTE'], 'who generates may pack');
SELECT throws_ok(
    $$SELECT llm.pack('no such model')$$,
    '42704', 'llm: model "no such model" does not exist', 'a model that is not there is an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.pack()', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
