-- Revert hartonomous:function_floats from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.floats(bytea);

COMMIT;
