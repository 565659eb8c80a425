-- Revert hartonomous:python_runtime_cosine_search from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.cosine_search();

COMMIT;
