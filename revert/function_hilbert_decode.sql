-- Revert hartonomous:function_hilbert_decode from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.hilbert_decode(numeric, integer, integer);

COMMIT;
