-- Revert hartonomous:function_forward from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.forward(integer[], text, bigint, integer);

COMMIT;
