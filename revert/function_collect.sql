-- Revert hartonomous:function_collect from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP PROCEDURE llm.collect(interval);

COMMIT;
