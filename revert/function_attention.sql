-- Revert hartonomous:function_attention from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.attention(bytea, bytea, bytea, bigint, integer, integer[], text);
DROP FUNCTION llm_runtime.attention(bytea, bytea, bytea, bigint, integer, integer[], text);

COMMIT;
