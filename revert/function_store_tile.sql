-- Revert hartonomous:function_store_tile from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.store_tile(bytea);

COMMIT;
