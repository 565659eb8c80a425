-- Revert hartonomous:function_store_forward_tokens from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.forward_tokens(integer[], bigint, integer, text);

COMMIT;
