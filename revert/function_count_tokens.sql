-- Revert hartonomous:function_count_tokens from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.count_tokens(text, text, boolean);

COMMIT;
