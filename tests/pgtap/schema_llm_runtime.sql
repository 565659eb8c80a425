BEGIN;
SELECT plan(5);

SELECT has_schema('llm_runtime', 'the schema is there');
SELECT schema_privs_are(
    'llm_runtime', 'llm_owner', ARRAY['USAGE'], 'the owner of the tables may use it, not add to it');
SELECT schema_privs_are('llm_runtime', 'llm_user', ARRAY['USAGE'], 'so may users');
SET LOCAL ROLE llm_owner;
SELECT throws_ok(
    'CREATE FUNCTION llm_runtime.mine() RETURNS void LANGUAGE sql AS '''' ', '42501', NULL,
    'llm_owner adds no code');
SELECT throws_ok('DROP FUNCTION llm_runtime.boot()', '42501', NULL, 'llm_owner drops no code');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
