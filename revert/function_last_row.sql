-- Revert hartonomous:function_last_row from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.last_row(bytea, integer);

COMMIT;
