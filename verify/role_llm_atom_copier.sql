-- Verify hartonomous:role_llm_atom_copier on pg

BEGIN;

SELECT 1 / count(*) FROM pg_catalog.pg_roles WHERE rolname = 'llm_atom_copier' AND NOT rolsuper AND NOT rolcanlogin;

ROLLBACK;
