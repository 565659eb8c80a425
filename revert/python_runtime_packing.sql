-- Revert hartonomous:python_runtime_packing from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.packing();

COMMIT;
