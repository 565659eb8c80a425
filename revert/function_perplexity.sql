-- Revert hartonomous:function_perplexity from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.perplexity(text, text);

COMMIT;
