-- Revert hartonomous:function_runtime_check_prompt from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.check_prompt(integer, text);

COMMIT;
