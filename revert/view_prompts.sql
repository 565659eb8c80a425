-- Revert hartonomous:view_prompts from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP VIEW llm.prompts;

COMMIT;
