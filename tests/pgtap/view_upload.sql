BEGIN;
SELECT plan(3);

SELECT columns_are('llm', 'upload', ARRAY['content']);
SELECT table_privs_are('llm', 'upload', 'llm_loader', ARRAY['INSERT']);
SELECT table_privs_are('llm', 'upload', 'llm_user', ARRAY[]::text[]);

SELECT * FROM finish();
ROLLBACK;
