-- Revert hartonomous:table_tokenizer from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP TABLE llm_store.tokenizer;

COMMIT;
