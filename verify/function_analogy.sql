-- Verify hartonomous:function_analogy on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.analogy(text, text, text, integer, text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.analogy(text, text, text, integer, text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
