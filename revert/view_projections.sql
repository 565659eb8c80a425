-- Revert hartonomous:view_projections from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP VIEW llm_atoms.projections;

COMMIT;
