-- Verify hartonomous:function_detokenize on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.detokenize(integer[], text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.detokenize(integer[], text)', 'EXECUTE');
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_runtime.detokenize(integer[], text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_runtime.detokenize(integer[], text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
