-- Revert hartonomous:function_store_tokenizer from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.store_tokenizer(text, jsonb);

COMMIT;
