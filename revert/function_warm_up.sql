-- Revert hartonomous:function_warm_up from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.warm_up(boolean);

COMMIT;
