-- Revert hartonomous:function_search from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.search(bytea, regclass, integer, name);
DROP FUNCTION llm.search(text, regclass, integer, text, name);

COMMIT;
