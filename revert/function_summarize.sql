-- Revert hartonomous:function_summarize from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.summarize(text, text, integer);

COMMIT;
