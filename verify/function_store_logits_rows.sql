-- Verify hartonomous:function_store_logits_rows on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_store.logits_rows(integer[], text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.logits_rows(integer[], text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
