-- Revert hartonomous:function_linear from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.linear(bytea, text, text, text, bytea);

COMMIT;
