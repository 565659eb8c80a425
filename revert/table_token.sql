-- Revert hartonomous:table_token from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP TABLE llm_store.token;

COMMIT;
