-- Revert hartonomous:function_bytes from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.bytes(double precision[]);
DROP FUNCTION llm_runtime.bytes(double precision[]);

COMMIT;
