-- Revert hartonomous:view_models from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP VIEW llm.models;

COMMIT;
