-- Revert hartonomous:function_classify_details from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.classify_details;

COMMIT;
