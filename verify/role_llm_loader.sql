-- Verify hartonomous:role_llm_loader on pg

BEGIN;

SELECT 1 / count(*) FROM pg_catalog.pg_roles WHERE rolname = 'llm_loader' AND NOT rolsuper;
SELECT 1 / pg_catalog.pg_has_role('llm_loader', 'llm_user', 'USAGE')::integer;

ROLLBACK;
