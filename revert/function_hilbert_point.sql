-- Revert hartonomous:function_hilbert_point from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.hilbert_point(bigint, bigint, bigint);

COMMIT;
