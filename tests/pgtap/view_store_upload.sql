BEGIN;
SELECT plan(3);

SELECT columns_are('llm_store', 'upload', ARRAY['content']);
SELECT table_privs_are('llm_store', 'upload', 'llm_loader', ARRAY['INSERT']);
SELECT table_privs_are('llm_store', 'upload', 'llm_user', ARRAY[]::text[]);

SELECT * FROM finish();
ROLLBACK;
