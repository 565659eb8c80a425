-- Verify hartonomous:function_store_project_model on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm_store.project_model(integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm_store.project_model(integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.project_model(integer)', 'EXECUTE');
    ASSERT (SELECT p.prosecdef FROM pg_catalog.pg_proc AS p WHERE p.oid = 'llm_store.project_model(integer)'::regprocedure);
END
$verify$;

ROLLBACK;
