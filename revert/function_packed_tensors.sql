-- Revert hartonomous:function_packed_tensors from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.packed_tensors();

COMMIT;
