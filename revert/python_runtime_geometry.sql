-- Revert hartonomous:python_runtime_geometry from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.geometry();

COMMIT;
