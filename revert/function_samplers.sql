-- Revert hartonomous:function_samplers from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.samplers();

COMMIT;
