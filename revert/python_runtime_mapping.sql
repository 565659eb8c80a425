-- Revert hartonomous:python_runtime_mapping from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.mapping();

COMMIT;
