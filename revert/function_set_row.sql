-- Revert hartonomous:function_set_row from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.set_row(text, text, integer, bytea);

COMMIT;
