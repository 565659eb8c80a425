-- Revert hartonomous:python_runtime_blending from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.blending();

COMMIT;
