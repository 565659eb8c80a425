-- Revert hartonomous:function_rate from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.rate(text, text, text, jsonb);

COMMIT;
