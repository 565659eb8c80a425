-- Revert hartonomous:python_runtime_ceilings from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.ceilings();

COMMIT;
