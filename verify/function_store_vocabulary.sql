-- Verify hartonomous:function_store_vocabulary on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_owner', 'llm_store.vocabulary(text, jsonb)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.vocabulary(text, jsonb)', 'EXECUTE');
END
$verify$;

ROLLBACK;
