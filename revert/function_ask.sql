-- Revert hartonomous:function_ask from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.ask;

COMMIT;
