-- Revert hartonomous:view_cache from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP VIEW llm.cache;

COMMIT;
