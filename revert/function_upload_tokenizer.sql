-- Revert hartonomous:function_upload_tokenizer from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.upload_tokenizer(text, jsonb);

COMMIT;
