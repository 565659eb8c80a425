-- Revert hartonomous:view_settings from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP VIEW llm.settings;

COMMIT;
