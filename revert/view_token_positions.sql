-- Revert hartonomous:view_token_positions from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP VIEW llm_atoms.token_positions;

COMMIT;
