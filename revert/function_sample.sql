-- Revert hartonomous:function_sample from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.sample;
DROP FUNCTION llm_runtime.sample;

COMMIT;
