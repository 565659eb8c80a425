-- Revert hartonomous:function_hilbert_point from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_atoms.hilbert_point(bigint, bigint, bigint);

COMMIT;
