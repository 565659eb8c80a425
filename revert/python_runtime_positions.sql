-- Revert hartonomous:python_runtime_positions from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.positions();

COMMIT;
