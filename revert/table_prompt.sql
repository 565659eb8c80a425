-- Revert hartonomous:table_prompt from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP TABLE llm_store.prompt;

COMMIT;
