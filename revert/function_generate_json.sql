-- Revert hartonomous:function_generate_json from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.generate_json;

COMMIT;
