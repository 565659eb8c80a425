-- Revert hartonomous:function_runtime_boot from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.boot();

COMMIT;
