-- Revert hartonomous:view_token_embeddings from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP VIEW llm.token_embeddings;

COMMIT;
