-- Revert hartonomous:python_runtime_rewriting from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.rewriting();

COMMIT;
