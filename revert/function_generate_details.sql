-- Revert hartonomous:function_generate_details from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.generate_details;

COMMIT;
