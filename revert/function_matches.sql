-- Revert hartonomous:function_matches from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.matches(text, text, text, double precision, jsonb);

COMMIT;
