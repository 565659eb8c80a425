-- Revert hartonomous:function_analogy_by_id from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.analogy(integer, integer, integer, integer, text);

COMMIT;
