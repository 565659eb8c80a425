-- Revert hartonomous:function_store_decoded_array from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.decoded_array(text, bytea);

COMMIT;
