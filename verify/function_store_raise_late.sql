-- Verify hartonomous:function_store_raise_late on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_store.raise_late(text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.raise_late(text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
