-- Revert hartonomous:function_merge from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.merge(text[], text, double precision[], text, text, double precision, double precision);

COMMIT;
