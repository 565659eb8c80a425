-- Revert hartonomous:python_runtime_scoring from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.scoring();

COMMIT;
