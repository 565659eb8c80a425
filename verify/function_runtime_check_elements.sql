-- Verify hartonomous:function_runtime_check_elements on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_runtime.check_array(bigint, bigint, text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_runtime.check_array(bigint, bigint, text)', 'EXECUTE');
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_runtime.check_elements(integer, text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_runtime.check_elements(integer, text)', 'EXECUTE');
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_runtime.check_texts(text[], text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_runtime.check_texts(text[], text)', 'EXECUTE');
    ASSERT llm_runtime.check_elements(NULL, 'x') AND llm_runtime.check_elements(3, 'x');
    ASSERT llm_runtime.check_texts(NULL, 'x') AND llm_runtime.check_texts('{a, NULL}', 'x');
END
$verify$;

ROLLBACK;
