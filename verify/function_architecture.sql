-- Verify hartonomous:function_architecture on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.architecture(text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.architecture(text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
