-- Revert hartonomous:function_store_numbers_below from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.numbers_below(bigint);

COMMIT;
