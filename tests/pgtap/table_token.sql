BEGIN;
SELECT plan(5);

SELECT columns_are('llm_store', 'token', ARRAY['tokenizer_id', 'id', 'bytes', 'text', 'kind']);
SELECT col_is_pk('llm_store', 'token', ARRAY['tokenizer_id', 'id'], 'a token is known by its number');
SELECT has_index(
    'llm_store', 'token', 'token_tokenizer_id_bytes_idx', ARRAY['tokenizer_id', 'bytes'], 'and found by its bytes');
SELECT has_index('llm_store', 'token', 'token_text_idx', ARRAY['text'], 'or by its text');
SELECT table_privs_are(
    'llm_store', 'token', 'llm_loader', ARRAY['SELECT'], 'a loader stores it by llm_store.publish only');

SELECT * FROM finish();
ROLLBACK;
