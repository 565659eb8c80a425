-- Revert hartonomous:function_generate_many from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.generate_many;

COMMIT;
