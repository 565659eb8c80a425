-- Revert hartonomous:function_softmax from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.softmax(bytea, integer);

COMMIT;
