-- Verify hartonomous:function_rope on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.rope(bytea, integer[], text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.rope(bytea, integer[], text)', 'EXECUTE');
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_runtime.rope(bytea, integer[], text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_runtime.rope(bytea, integer[], text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
