-- Revert hartonomous:function_pack from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.pack(text);

COMMIT;
