-- Verify hartonomous:function_evict on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm.evict(text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.evict(text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm.evict(text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
