-- Revert hartonomous:function_generate_choice from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.generate_choice;

COMMIT;
