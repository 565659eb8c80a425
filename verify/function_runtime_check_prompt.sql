-- Verify hartonomous:function_runtime_check_prompt on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_runtime.check_prompt(integer, text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_runtime.check_prompt(integer, text)', 'EXECUTE');
    PERFORM llm_runtime.check_prompt(2000000000, NULL);
    RAISE EXCEPTION 'a prompt of 2 GB is not refused';
EXCEPTION
    WHEN configuration_limit_exceeded THEN
        NULL;
END
$verify$;

ROLLBACK;
