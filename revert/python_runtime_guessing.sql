-- Revert hartonomous:python_runtime_guessing from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.guessing();

COMMIT;
