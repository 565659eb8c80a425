-- Revert hartonomous:function_compare from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.compare(text, text[], integer, double precision, bigint);

COMMIT;
