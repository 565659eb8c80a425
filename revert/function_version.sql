-- Revert hartonomous:function_version from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.version();

COMMIT;
