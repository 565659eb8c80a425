-- Revert hartonomous:table_projection from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP TABLE llm_store.projection;

COMMIT;
