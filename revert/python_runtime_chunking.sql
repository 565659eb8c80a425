-- Revert hartonomous:python_runtime_chunking from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.chunking();

COMMIT;
