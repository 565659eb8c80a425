-- Revert hartonomous:function_store_float_at from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.float_at(bytea, integer);

COMMIT;
