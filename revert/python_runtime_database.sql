-- Revert hartonomous:python_runtime_database from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.database();

COMMIT;
