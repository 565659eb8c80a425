-- Revert hartonomous:python_runtime_comparison from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.comparison();

COMMIT;
