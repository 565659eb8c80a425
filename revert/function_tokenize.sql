-- Revert hartonomous:function_tokenize from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.tokenize(text, text, boolean, boolean);

COMMIT;
