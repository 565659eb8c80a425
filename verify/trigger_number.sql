-- Verify hartonomous:trigger_number on pg

BEGIN;

INSERT INTO llm_store.number (n) VALUES (0), (262143);
SELECT 1 / (count(*) = 262144)::integer FROM llm_store.number;

ROLLBACK;
