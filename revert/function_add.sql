-- Revert hartonomous:function_add from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.add(bytea, bytea);

COMMIT;
