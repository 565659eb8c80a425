-- Revert hartonomous:python_runtime_ops from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.ops();

COMMIT;
