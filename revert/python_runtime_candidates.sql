-- Revert hartonomous:python_runtime_candidates from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.candidates();

COMMIT;
