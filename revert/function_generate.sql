-- Revert hartonomous:function_generate from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.generate;

COMMIT;
