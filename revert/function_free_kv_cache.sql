-- Revert hartonomous:function_free_kv_cache from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.free_kv_cache(bigint);

COMMIT;
