-- Revert hartonomous:function_new_kv_cache from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.new_kv_cache(text);

COMMIT;
