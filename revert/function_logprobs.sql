-- Revert hartonomous:function_logprobs from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.logprobs(text, text);

COMMIT;
