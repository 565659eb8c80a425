-- Revert hartonomous:function_store_upload_tokenizer from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.upload_tokenizer(text, jsonb);

COMMIT;
