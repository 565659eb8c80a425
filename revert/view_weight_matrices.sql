-- Revert hartonomous:view_weight_matrices from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP VIEW llm.weight_matrices;

COMMIT;
