-- Verify hartonomous:function_matrix on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.matrix(text, text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.matrix(text, text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
