-- Verify hartonomous:schema_llm_runtime on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_schema_privilege('llm_user', 'llm_runtime', 'USAGE');
    ASSERT NOT pg_catalog.has_schema_privilege('llm_owner', 'llm_runtime', 'CREATE'), 'only a superuser adds code';
    ASSERT NOT pg_catalog.has_schema_privilege('public', 'llm_runtime', 'USAGE');
END
$verify$;

ROLLBACK;
