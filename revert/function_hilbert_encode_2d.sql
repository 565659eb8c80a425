-- Revert hartonomous:function_hilbert_encode_2d from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_atoms.hilbert_encode_2d(bigint, bigint, integer);

COMMIT;
