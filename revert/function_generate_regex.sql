-- Revert hartonomous:function_generate_regex from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.generate_regex;

COMMIT;
