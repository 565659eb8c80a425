BEGIN;
SELECT plan(3);

SELECT columns_are('llm_store', 'tokenizer', ARRAY['id', 'hash', 'definition', 'settings']);
SELECT col_is_unique('llm_store', 'tokenizer', 'hash', 'a tokenizer is stored once');
SELECT table_privs_are(
    'llm_store', 'tokenizer', 'llm_loader', ARRAY['SELECT'], 'a loader stores it by llm_store.publish only');

SELECT * FROM finish();
ROLLBACK;
