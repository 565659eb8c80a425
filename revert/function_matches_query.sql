-- Revert hartonomous:function_matches_query from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.matches_query;

COMMIT;
