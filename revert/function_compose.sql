-- Revert hartonomous:function_compose from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_atoms.compose(bytea);

COMMIT;
