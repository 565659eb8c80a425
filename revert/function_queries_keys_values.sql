-- Revert hartonomous:function_queries_keys_values from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.queries_keys_values(bytea, integer, integer[], text);
DROP FUNCTION llm_runtime.queries_keys_values(bytea, integer, integer[], text);

COMMIT;
