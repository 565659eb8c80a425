-- Revert hartonomous:function_generate_query from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.generate_query;

COMMIT;
