-- Verify hartonomous:function_runtime_run_limits on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_runtime.run_limits()', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_runtime.run_limits()', 'EXECUTE');
    ASSERT (
        SELECT coalesce(l.running, 1) > 0 AND coalesce(l.threads, 1) > 0 FROM llm_runtime.run_limits() AS l
    );
END
$verify$;

ROLLBACK;
