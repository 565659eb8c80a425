-- Revert hartonomous:function_verify from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.verify(text);

COMMIT;
