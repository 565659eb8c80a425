-- Revert hartonomous:function_runtime_call_limits from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.call_limits();

COMMIT;
