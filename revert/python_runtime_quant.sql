-- Revert hartonomous:python_runtime_quant from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.quant();

COMMIT;
