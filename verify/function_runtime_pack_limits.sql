-- Verify hartonomous:function_runtime_pack_limits on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_runtime.pack_limits()', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_runtime.pack_limits()', 'EXECUTE');
    ASSERT (SELECT l.bytes > 0 AND l.free_bytes >= 0 FROM llm_runtime.pack_limits() AS l);
END
$verify$;

ROLLBACK;
