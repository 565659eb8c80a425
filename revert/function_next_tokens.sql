-- Revert hartonomous:function_next_tokens from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.next_tokens(text, integer, text);

COMMIT;
