-- Revert hartonomous:function_project from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.project(text);

COMMIT;
