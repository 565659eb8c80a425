-- Verify hartonomous:schema_llm_atoms on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_schema_privilege('llm_user', 'llm_atoms', 'USAGE');
    ASSERT NOT pg_catalog.has_schema_privilege('llm_loader', 'llm_atoms', 'CREATE');
    ASSERT NOT pg_catalog.has_schema_privilege('public', 'llm_atoms', 'USAGE');
END
$verify$;

ROLLBACK;
