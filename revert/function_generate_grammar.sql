-- Revert hartonomous:function_generate_grammar from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.generate_grammar;

COMMIT;
