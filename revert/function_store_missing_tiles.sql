-- Revert hartonomous:function_store_missing_tiles from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.missing_tiles(bytea[]);

COMMIT;
