-- Verify hartonomous:schema_llm_store on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_schema_privilege('llm_user', 'llm_store', 'USAGE');
    ASSERT NOT pg_catalog.has_schema_privilege('llm_loader', 'llm_store', 'CREATE');
    ASSERT NOT pg_catalog.has_schema_privilege('public', 'llm_store', 'USAGE');
END
$verify$;

ROLLBACK;
