-- Revert hartonomous:python_runtime_stored_tokens from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.stored_tokens();

COMMIT;
