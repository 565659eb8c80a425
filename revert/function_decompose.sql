-- Revert hartonomous:function_decompose from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_atoms.decompose(bytea);

COMMIT;
