-- Revert hartonomous:function_project from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_atoms.project(text);

COMMIT;
