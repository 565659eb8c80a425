-- Verify hartonomous:function_free_kv_cache on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.free_kv_cache(bigint)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.free_kv_cache(bigint)', 'EXECUTE');
END
$verify$;

ROLLBACK;
