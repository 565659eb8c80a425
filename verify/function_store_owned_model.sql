-- Verify hartonomous:function_store_owned_model on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm_store.owned_model(text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm_store.owned_model(text)', 'EXECUTE');
    PERFORM llm_store.owned_model('no model: has such a name');
    RAISE EXCEPTION 'a model that is not there was found';
EXCEPTION
    WHEN undefined_object THEN
        NULL;
END
$verify$;

ROLLBACK;
