-- Revert hartonomous:table_tensor from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP TABLE llm_store.tensor;

COMMIT;
