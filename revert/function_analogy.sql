-- Revert hartonomous:function_analogy from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.analogy(text, text, text, integer, text);

COMMIT;
