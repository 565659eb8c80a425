-- Revert hartonomous:function_engine from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.engine();

COMMIT;
