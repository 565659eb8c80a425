-- Revert hartonomous:function_runtime_pack_limits from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.pack_limits();

COMMIT;
