-- Revert hartonomous:function_hilbert_decode_2d from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_atoms.hilbert_decode_2d(bigint, integer);

COMMIT;
