-- Revert hartonomous:python_runtime_editing from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.editing();

COMMIT;
