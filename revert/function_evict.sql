-- Revert hartonomous:function_evict from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.evict(text);

COMMIT;
