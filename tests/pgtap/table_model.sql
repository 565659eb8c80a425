BEGIN;
SELECT plan(8);

\ir tiny_model.psql

SELECT columns_are('llm_store', 'model', ARRAY[
    'id', 'name', 'hash', 'architecture', 'tokenizer_id', 'container', 'kind', 'owner', 'created_at']);
SELECT table_privs_are('llm_store', 'model', 'llm_user', ARRAY['SELECT']);
SELECT table_privs_are('llm_store', 'model', 'llm_loader', ARRAY['SELECT', 'DELETE']);
CREATE ROLE ann IN ROLE llm_loader;
CREATE ROLE bob IN ROLE llm_loader;
SET LOCAL ROLE ann;
SELECT lives_ok(
    $$SELECT llm_store.publish('hers', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer())$$, 'ann loads a model');
SELECT throws_ok(
    $$INSERT INTO llm_store.model (name, architecture, tokenizer_id, container, owner)
    SELECT 'forged', architecture, tokenizer_id, container, 'bob'::regrole FROM llm_store.model$$,
    '42501', NULL, 'nobody loads in the name of another');
SELECT throws_ok(
    $$INSERT INTO llm_store.model (name, architecture, tokenizer_id, container, hash)
    SELECT 'forged', architecture, tokenizer_id, container, hash FROM llm_store.model$$,
    '42501', NULL, 'nobody gives a model its hash');
SET LOCAL ROLE bob;
SELECT is((SELECT owner::text FROM llm_store.model WHERE name = 'hers'), 'ann', 'bob sees that it is hers');
SELECT is_empty($$DELETE FROM llm_store.model WHERE name = 'hers' RETURNING name$$, 'and cannot delete it');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
