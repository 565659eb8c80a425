-- Revert hartonomous:function_scale_tensor from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.scale_tensor(text, text, double precision);

COMMIT;
