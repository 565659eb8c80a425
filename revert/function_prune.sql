-- Revert hartonomous:function_prune from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.prune(text, double precision, text);

COMMIT;
