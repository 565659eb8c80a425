-- Revert hartonomous:python_runtime_ingestion from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.ingestion();

COMMIT;
