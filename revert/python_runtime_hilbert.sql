-- Revert hartonomous:python_runtime_hilbert from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.hilbert();

COMMIT;
