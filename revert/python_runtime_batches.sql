-- Revert hartonomous:python_runtime_batches from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.batches();

COMMIT;
