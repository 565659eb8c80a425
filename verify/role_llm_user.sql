-- Verify hartonomous:role_llm_user on pg

BEGIN;

SELECT 1 / count(*) FROM pg_catalog.pg_roles WHERE rolname = 'llm_user' AND NOT rolsuper;

ROLLBACK;
