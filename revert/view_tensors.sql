-- Revert hartonomous:view_tensors from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP VIEW llm.tensors;

COMMIT;
