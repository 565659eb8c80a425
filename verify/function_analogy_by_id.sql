-- Verify hartonomous:function_analogy_by_id on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.analogy(integer, integer, integer, integer, text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.analogy(integer, integer, integer, integer, text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
