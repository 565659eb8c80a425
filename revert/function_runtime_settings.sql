-- Revert hartonomous:function_runtime_settings from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.settings();

COMMIT;
