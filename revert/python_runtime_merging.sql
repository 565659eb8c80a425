-- Revert hartonomous:python_runtime_merging from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.merging();

COMMIT;
