-- Revert hartonomous:function_fork from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.fork(text, text);

COMMIT;
