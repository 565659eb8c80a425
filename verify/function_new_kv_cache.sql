-- Verify hartonomous:function_new_kv_cache on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.new_kv_cache(text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.new_kv_cache(text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
