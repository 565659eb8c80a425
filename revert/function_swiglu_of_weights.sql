-- Revert hartonomous:function_swiglu_of_weights from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.swiglu(bytea, text, text, text);

COMMIT;
