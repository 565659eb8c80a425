BEGIN;
SELECT plan(7);

\ir tiny_model.psql

SELECT columns_are('llm_store', 'model_tensor', ARRAY['model_id', 'ordinal', 'name', 'tensor_hash']);
SELECT table_privs_are('llm_store', 'model_tensor', 'llm_user', ARRAY['SELECT']);
CREATE ROLE ann IN ROLE llm_loader;
CREATE ROLE bob IN ROLE llm_loader;
SET LOCAL ROLE ann;
SELECT lives_ok(
    $$SELECT llm_store.publish('hers', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer())$$, 'ann loads a model');
SET LOCAL ROLE bob;
SELECT isnt_empty('SELECT FROM llm_store.model_tensor', 'bob sees its rows');
SELECT throws_ok(
    $$INSERT INTO llm_store.model_tensor (model_id, ordinal, name, tensor_hash) SELECT model_id, 99, 'more', tensor_hash
    FROM llm_store.model_tensor LIMIT 1$$,
    '42501', NULL, 'bob adds nothing to the model of ann');
SELECT is_empty('UPDATE llm_store.model_tensor SET tensor_hash = tensor_hash RETURNING 1', 'changes nothing of it');
SELECT is_empty('DELETE FROM llm_store.model_tensor RETURNING 1', 'and takes nothing from it');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
