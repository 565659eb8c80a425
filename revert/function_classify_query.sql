-- Revert hartonomous:function_classify_query from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.classify_query;

COMMIT;
