-- Revert hartonomous:function_reset from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.reset();

COMMIT;
