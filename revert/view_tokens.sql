-- Revert hartonomous:view_tokens from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP VIEW llm.tokens;

COMMIT;
