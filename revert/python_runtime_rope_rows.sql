-- Revert hartonomous:python_runtime_rope_rows from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.rope_rows();

COMMIT;
