-- Revert hartonomous:function_upload_token_atoms from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.upload_token_atoms(integer, integer);

COMMIT;
