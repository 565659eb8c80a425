-- Revert hartonomous:python_runtime_kept from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.kept();

COMMIT;
