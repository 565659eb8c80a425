-- Revert hartonomous:python_runtime_atom_rows from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.atom_rows();

COMMIT;
