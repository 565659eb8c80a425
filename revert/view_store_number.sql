-- Revert hartonomous:view_store_number from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP MATERIALIZED VIEW llm_store.number;

COMMIT;
