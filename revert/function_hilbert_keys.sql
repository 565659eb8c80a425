-- Revert hartonomous:function_hilbert_keys from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_atoms.hilbert_keys(public.geometry);

COMMIT;
