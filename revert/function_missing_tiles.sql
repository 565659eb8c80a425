-- Revert hartonomous:function_missing_tiles from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.missing_tiles(bytea[]);

COMMIT;
