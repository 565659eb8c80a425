-- Verify hartonomous:function_store_check_weights on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_owner', 'llm_store.check_weights(bytea, text, boolean)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_loader', 'llm_store.check_weights(bytea, text, boolean)', 'EXECUTE');
END
$verify$;

ROLLBACK;
