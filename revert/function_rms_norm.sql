-- Revert hartonomous:function_rms_norm from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.rms_norm(bytea, text, text, double precision);

COMMIT;
