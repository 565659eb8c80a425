-- Revert hartonomous:function_rate_query from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.rate_query;

COMMIT;
