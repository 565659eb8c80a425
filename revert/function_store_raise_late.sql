-- Revert hartonomous:function_store_raise_late from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.raise_late(text);

COMMIT;
