-- Revert hartonomous:function_generation_stats from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.generation_stats();

COMMIT;
