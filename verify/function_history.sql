-- Verify hartonomous:function_history on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.history(text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
