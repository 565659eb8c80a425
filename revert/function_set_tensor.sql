-- Revert hartonomous:function_set_tensor from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.set_tensor(text, text, bytea);

COMMIT;
