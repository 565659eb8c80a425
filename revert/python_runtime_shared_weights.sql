-- Revert hartonomous:python_runtime_shared_weights from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.shared_weights();

COMMIT;
