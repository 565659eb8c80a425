-- Revert hartonomous:python_runtime_atoms from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.atoms();

COMMIT;
