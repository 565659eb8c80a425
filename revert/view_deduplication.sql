-- Revert hartonomous:view_deduplication from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP VIEW llm_atoms.deduplication;

COMMIT;
