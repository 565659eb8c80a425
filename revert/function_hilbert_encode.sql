-- Revert hartonomous:function_hilbert_encode from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.hilbert_encode(bigint[], integer);

COMMIT;
