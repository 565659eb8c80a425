-- Revert hartonomous:python_runtime_cache from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.cache();

COMMIT;
