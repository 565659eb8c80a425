-- Revert hartonomous:function_runtime_release from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.release();

COMMIT;
