-- Verify hartonomous:function_store_forget_packed on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm_store.forget_packed(bytea[])', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm_store.forget_packed(bytea[])', 'EXECUTE');
    ASSERT llm_store.forget_packed(ARRAY[pg_catalog.sha256('no tensor')]) = 0;
END
$verify$;

ROLLBACK;
