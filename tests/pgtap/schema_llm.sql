BEGIN;
SELECT plan(4);

SELECT has_schema('llm', 'the schema is there');
SELECT schema_owner_is('llm', 'llm_owner', 'it belongs to llm_owner');
SELECT schema_privs_are('llm', 'llm_user', ARRAY['USAGE'], 'users may use it');
SELECT schema_privs_are('llm', 'llm_loader', ARRAY['USAGE'], 'loaders make nothing in it');

SELECT * FROM finish();
ROLLBACK;
