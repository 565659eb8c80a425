-- Verify hartonomous:function_store_collect_batch on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm_store.collect_batch(interval, integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm_store.collect_batch(interval, integer)', 'EXECUTE');
END
$verify$;

ROLLBACK;
