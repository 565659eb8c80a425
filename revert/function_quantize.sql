-- Revert hartonomous:function_quantize from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.quantize(text, text, text);

COMMIT;
