-- Verify hartonomous:function_store_model_hash on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm_store.model_hash(0) IS NULL;
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_store.model_hash(integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.model_hash(integer)', 'EXECUTE');
END
$verify$;

ROLLBACK;
