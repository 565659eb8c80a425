-- Revert hartonomous:function_hilbert_decode_2d from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.hilbert_decode_2d(bigint, integer);

COMMIT;
