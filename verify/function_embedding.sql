-- Verify hartonomous:function_embedding on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.embedding(integer[], text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.embedding(integer[], text)', 'EXECUTE');
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_runtime.embedding(integer[], text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_runtime.embedding(integer[], text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
