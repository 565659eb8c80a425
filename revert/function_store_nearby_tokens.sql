-- Revert hartonomous:function_store_nearby_tokens from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.nearby_tokens(public.geometry, integer);

COMMIT;
