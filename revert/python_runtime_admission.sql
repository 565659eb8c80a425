-- Revert hartonomous:python_runtime_admission from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.admission();

COMMIT;
