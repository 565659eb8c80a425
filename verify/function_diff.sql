-- Verify hartonomous:function_diff on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.diff(text, text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
