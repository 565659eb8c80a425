-- Revert hartonomous:function_detokenize from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.detokenize(integer[], text);
DROP FUNCTION llm_runtime.detokenize(integer[], text);

COMMIT;
