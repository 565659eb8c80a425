-- Revert hartonomous:procedure_generate_into from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP PROCEDURE llm.generate_into;
DROP PROCEDURE llm_runtime.generate_into;

COMMIT;
