-- Revert hartonomous:function_rope from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.rope(bytea, integer[], text);
DROP FUNCTION llm_runtime.rope(bytea, integer[], text);

COMMIT;
