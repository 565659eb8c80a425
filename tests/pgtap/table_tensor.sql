BEGIN;
SELECT plan(4);

SELECT columns_are('llm_store', 'tensor', ARRAY['hash', 'type', 'shape', 'rows_per_tile', 'bytes']);
SELECT col_is_pk('llm_store', 'tensor', 'hash', 'a tensor is known by its content');
SELECT table_privs_are('llm_store', 'tensor', 'llm_user', ARRAY['SELECT']);
SELECT table_privs_are(
    'llm_store', 'tensor', 'llm_loader', ARRAY['SELECT'], 'a loader stores tensors by llm_store.publish only');

SELECT * FROM finish();
ROLLBACK;
