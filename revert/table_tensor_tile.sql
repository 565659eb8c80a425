-- Revert hartonomous:table_tensor_tile from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP TABLE llm_store.tensor_tile;

COMMIT;
