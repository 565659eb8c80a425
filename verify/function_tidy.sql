-- Verify hartonomous:function_tidy on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm.tidy('date', NULL) IS NULL;
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.tidy(text, text, text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.tidy(text, text, text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
