-- Revert hartonomous:function_architecture from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.architecture(text);

COMMIT;
