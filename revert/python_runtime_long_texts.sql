-- Revert hartonomous:python_runtime_long_texts from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.long_texts();

COMMIT;
