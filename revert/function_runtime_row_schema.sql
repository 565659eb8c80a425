-- Revert hartonomous:function_runtime_row_schema from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.row_schema;

COMMIT;
