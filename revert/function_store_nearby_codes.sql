-- Revert hartonomous:function_store_nearby_codes from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.nearby_codes(public.geometry, integer, double precision);

COMMIT;
