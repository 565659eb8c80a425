-- Revert hartonomous:table_tile from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP TABLE llm_store.tile;

COMMIT;
