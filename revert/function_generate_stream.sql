-- Revert hartonomous:function_generate_stream from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.generate_stream;

COMMIT;
