-- Revert hartonomous:python_runtime_session_models from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.session_models();

COMMIT;
