-- Verify hartonomous:function_store_check_model_name on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm_store.check_model_name(text, boolean)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm_store.check_model_name(text, boolean)', 'EXECUTE');
    PERFORM llm_store.check_model_name('a b');
    RAISE EXCEPTION 'a name with a space was taken for one';
EXCEPTION
    WHEN invalid_parameter_value THEN
        NULL;
END
$verify$;

ROLLBACK;
