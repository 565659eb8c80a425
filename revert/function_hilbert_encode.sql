-- Revert hartonomous:function_hilbert_encode from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_atoms.hilbert_encode(bigint[], integer);

COMMIT;
