-- Revert hartonomous:view_store_tensor_row from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP VIEW llm_store.tensor_row;

COMMIT;
