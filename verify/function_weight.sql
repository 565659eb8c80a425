-- Verify hartonomous:function_weight on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.weight(text, integer, integer, text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.weight(text, integer, integer, text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
