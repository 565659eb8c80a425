-- Revert hartonomous:python_runtime_kv_pages from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.kv_pages();

COMMIT;
