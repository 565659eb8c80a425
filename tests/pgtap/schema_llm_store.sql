BEGIN;
SELECT plan(4);

SELECT has_schema('llm_store', 'the schema is there');
SELECT schema_owner_is('llm_store', 'llm_owner', 'it belongs to llm_owner');
SELECT schema_privs_are('llm_store', 'llm_user', ARRAY['USAGE'], 'users may use it');
SELECT schema_privs_are('llm_store', 'llm_loader', ARRAY['USAGE'], 'loaders make nothing in it');

SELECT * FROM finish();
ROLLBACK;
