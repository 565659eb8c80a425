-- Revert hartonomous:python_runtime_packed_files from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.packed_files();

COMMIT;
