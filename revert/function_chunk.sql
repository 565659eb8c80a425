-- Revert hartonomous:function_chunk from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.chunk(text, text, integer, integer);

COMMIT;
