-- Revert hartonomous:python_runtime_projection from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.projection();

COMMIT;
