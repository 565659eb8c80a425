-- Revert hartonomous:python_runtime_prefix_cache from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.prefix_cache();

COMMIT;
