-- Revert hartonomous:function_classify from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.classify;

COMMIT;
