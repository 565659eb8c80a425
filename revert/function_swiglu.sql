-- Revert hartonomous:function_swiglu from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.swiglu(bytea, bytea);

COMMIT;
