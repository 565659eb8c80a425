-- Verify hartonomous:schema_llm on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_schema_privilege('llm_user', 'llm', 'USAGE');
    ASSERT NOT pg_catalog.has_schema_privilege('llm_loader', 'llm', 'CREATE');
    ASSERT NOT pg_catalog.has_schema_privilege('public', 'llm', 'USAGE');
END
$verify$;

ROLLBACK;
