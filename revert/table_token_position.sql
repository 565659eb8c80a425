-- Revert hartonomous:table_token_position from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP TABLE llm_store.token_position;

COMMIT;
