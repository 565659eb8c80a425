-- Revert hartonomous:function_search_by_numbers from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.search(double precision[], regclass, integer, name);
DROP FUNCTION llm_runtime.search(double precision[], regclass, integer, name);

COMMIT;
