-- Revert hartonomous:function_matrix from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.matrix(text, text);

COMMIT;
