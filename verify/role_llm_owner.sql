-- Verify hartonomous:role_llm_owner on pg

BEGIN;

SELECT 1 / count(*) FROM pg_catalog.pg_roles WHERE rolname = 'llm_owner' AND NOT rolsuper;

ROLLBACK;
