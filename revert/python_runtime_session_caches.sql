-- Revert hartonomous:python_runtime_session_caches from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.session_caches();

COMMIT;
