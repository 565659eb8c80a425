-- Verify hartonomous:function_verify on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.verify(text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.verify(text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
