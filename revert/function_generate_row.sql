-- Revert hartonomous:function_generate_row from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.generate_row;

COMMIT;
