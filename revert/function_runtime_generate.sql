-- Revert hartonomous:function_runtime_generate from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.generate;

COMMIT;
