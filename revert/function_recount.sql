-- Revert hartonomous:function_recount from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_atoms.recount();

COMMIT;
