-- Revert hartonomous:function_store_upload_token_atoms from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_store.upload_token_atoms(integer, integer);

COMMIT;
