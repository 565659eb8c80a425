-- Revert hartonomous:function_hilbert_decode from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_atoms.hilbert_decode(numeric, integer, integer);

COMMIT;
