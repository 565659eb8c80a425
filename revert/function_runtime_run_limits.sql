-- Revert hartonomous:function_runtime_run_limits from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.run_limits();

COMMIT;
