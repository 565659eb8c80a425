-- Revert hartonomous:python_runtime_wire from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.wire();

COMMIT;
