BEGIN;
SELECT plan(4);

SELECT has_schema('llm_atoms', 'the schema is there');
SELECT schema_owner_is('llm_atoms', 'llm_owner', 'it belongs to llm_owner');
SELECT schema_privs_are('llm_atoms', 'llm_user', ARRAY['USAGE'], 'users may use it');
SELECT schema_privs_are('llm_atoms', 'llm_loader', ARRAY['USAGE'], 'loaders make nothing in it');

SELECT * FROM finish();
ROLLBACK;
