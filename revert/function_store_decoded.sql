-- Revert hartonomous:function_store_decoded from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.decoded(text, bytea);

COMMIT;
