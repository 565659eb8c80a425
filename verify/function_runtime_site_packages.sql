-- Verify hartonomous:function_runtime_site_packages on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm_runtime.site_packages() IS NOT NULL;
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_runtime.site_packages()', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_runtime.site_packages()', 'EXECUTE');
END
$verify$;

ROLLBACK;
